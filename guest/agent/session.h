// One program and the connections that are attached to it: what session.c (the loop) and attached.c share.
#pragma once
#include "exec.h"

enum {
  RING = 1024 * 1024,
  AHEAD = 256 * 1024, // What the program may write before the fastest of those attached has it.
  MAX_ATTACHED = 64,
  MAX_WRITERS = 128,
  STDIN_LIMIT = 256 * 1024, // Above it the clients' frames are not read: they wait for the program.
  ACK_EVERY = 64 * 1024,
  LINGER_MS = 1000,
};

struct writer {
  char name[NAME_ROOM];
  unsigned long long taken, used; // Bytes of its input taken; when it last attached.
};

struct attachment {
  int socket;
  struct buffer in, out; // Frames that are not whole yet; what the socket did not take of what was begun.
  unsigned long long at; // Count of the output that it has, or that is on its way in `out`.
  bool writes, full;     // `full`: the socket took less than it was given.
  struct writer *writer;
  unsigned long long told;     // Of the writer's bytes.
  bool leaving, shut;          // Its last frame is in `out`; it was sent.
  long long gone_by;           // When it is closed, whatever it does.
};

enum phase { RUNNING, DRAINING, ENDED };

struct session {
  const char *id, *path;
  struct buffer about; // The fields of its start that are shown.
  int mailbox;         // -1: no session, but the program of one connection.
  struct program program;
  enum phase phase;
  int exit_code;
  unsigned long long last_words; // What `end` may be when the program has ended.
  long long keep_until, look_again, ack_by; // 0: no such time.
  unsigned char *ring;
  unsigned char *kinds; // A bit for each byte of the ring: 1 is stderr. Only without a terminal.
  unsigned long long end;
  struct buffer input;
  size_t input_at;
  bool input_ended;
  unsigned pieces;   // Of output, read one soon after the other, since the last input.
  long long read_at; // When the last was.
  struct attachment attached[MAX_ATTACHED];
  size_t count;
  struct writer writers[MAX_WRITERS];
  unsigned long long attaches;
};

// ---- attached.c

// How much of the program's output may be read now.
size_t room_in_ring(const struct session *s);
// Reads what is there and fits. False when there will be no more, or with `last` none now.
bool read_output(struct session *s, int from, bool error, bool last);
void add_number_field(struct buffer *record, const char *name, unsigned long long number);
// Sends as much as the socket takes, straight from the ring. False when the other end is gone.
bool send_output(struct session *s, struct attachment *a);
bool owes_ack(const struct attachment *a);
void add_ack(struct attachment *a);
// Its last frame: why it is over.
void leave_with(struct attachment *a, const char *code, const char *message);
void take_frames(struct session *s, struct attachment *a);
// False when the client is gone.
bool read_client(struct session *s, struct attachment *a);
void feed_program(struct session *s);
void attach(struct session *s, const struct mail *mail);
void detach(struct session *s, size_t place);
// Of a connection that is not attached.
void refuse(int socket, const char *code, const char *message);
