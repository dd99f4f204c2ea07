// What the parts of the exec server share: exec.c (connections), program.c, session.c (the loop around a program),
// sessions.c (programs that outlive their connections), tunnel.c (connections that become raw bytes).
#pragma once
#include <signal.h>

#include "agent.h"

enum { AUTH = 1, START, STDIN, STDIN_EOF, SIGNAL, RESIZE, ATTACH, LIST, FORGET, LISTEN, TAKE, DIAL };
enum { STARTED = 16, STDOUT, STDERR, EXIT, ERROR, ATTACHED, SESSIONS, LISTENING, ACCEPTED, INPUT_TAKEN, DIALED };
enum {
  MAX_FRAME = 1024 * 1024,
  HEADER = 5,
  CHUNK = 64 * 1024, // Data frames are cut to this.
  NAME_ROOM = 65,    // Of ids of sessions and writers.
};

// ---- exec.c

// Where the sockets of sessions and listeners are: below /run/berth; tests have another place.
extern const char *exec_directory;
// This connection's process was told to end: the box got a new identity.
extern volatile sig_atomic_t told_to_end;

// One connection before it is known what it is for.
struct peer {
  int socket;
  struct buffer in;
  bool authorized;
  char only[NAME_ROOM]; // The session that it may attach to; empty: everything is open to it.
  bool only_reads;
};

void add_frame(struct buffer *to, int kind, const void *payload, size_t length);
void add_error(struct buffer *to, const char *code, const char *message);
// The frame at *at, which moves past it; false when it is not whole yet. A frame that is too long gives kind -1.
bool next_frame(struct buffer *in, size_t *at, int *kind, struct bytes *payload);
// Sends all, whatever the other end's pace; false when it is gone or takes nothing for a long time.
bool send_all(int socket, const void *bytes, size_t length);
// Says why, and ends this connection's process.
_Noreturn void fail(struct peer *peer, const char *code, const char *message);
_Noreturn void serve(int socket);
// Serves an accepted connection in a process of its own.
void serve_apart(int connection);
bool is_name(const char *text);

// ---- program.c

struct program {
  pid_t pid;
  int ended;                // pidfd: readable when the program ended.
  int to, from, from_error; // Its stdin, stdout and stderr; with a terminal all but `from_error` are it.
  bool terminal;
  unsigned char size[4];
  long long kill_at; // -1: never. Of `timeoutMs`: TERM first, then KILL.
  bool timed_out;
};

struct person {
  unsigned uid, gid;
  char home[200], shell[100];
  gid_t groups[64];
  int group_count;
};

bool find_person(const char *name, struct person *person);
bool become_person(const struct person *person);
// NULL, or why it did not start.
const char *start_program(struct program *program, struct bytes request);
void signal_program(struct program *program, int number);
void resize_program(struct program *program, const unsigned char size[4]);
// Ends the program and what it started in its process group: politely, then not.
void end_program(struct program *program);
// Sends what `kill_at` is for when its time has come.
void watch_timeout(struct program *program);
// Of an ended program.
int exit_code_of(struct program *program);

// ---- session.c

// Runs a program for the one connection that it ends with.
_Noreturn void run_for_connection(struct peer *peer, struct bytes request);
// Runs a program as a session; `mailbox` is where connections are handed to.
_Noreturn void keep_session(int mailbox, const char *path, const char *id, struct bytes request);

// ---- sessions.c

enum { MAIL_ATTACH = 'A', MAIL_INFO = 'I', MAIL_FORGET = 'F', MAIL_DROP = 'D' };
enum { MAIL_ROOM = 2 * CHUNK };

struct mail {
  int kind, file; // -1: none.
  struct bytes record, rest;
};

// One piece of mail; false when there is none. `room` has MAIL_ROOM bytes and is what the mail points into.
bool take_mail(int mailbox, unsigned char *room, struct mail *mail);
bool send_mail(const char *path, const struct mail *mail, bool wait);
int open_mailbox(const char *path);
bool session_path(const char *id, char path[200]);

_Noreturn void start_session(struct peer *peer, struct bytes request, size_t used);
_Noreturn void attach_session(struct peer *peer, struct bytes request, size_t used);
// Answers with what there is, as does `forget` with what is left.
void list_sessions(struct peer *peer);
void forget_session(struct peer *peer, const char *id);
// Ends every connection to a session; the sessions live on.
void drop_attached(void);

// ---- tunnel.c; `used`: bytes of peer->in that are no raw bytes

_Noreturn void listen_for(struct peer *peer, struct bytes request);
_Noreturn void take_connection(struct peer *peer, struct bytes request, size_t used);
_Noreturn void dial_for(struct peer *peer, struct bytes request, size_t used);
