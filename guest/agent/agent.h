// The guest's side of Berth: one static program, started first in a box. See ../PROTOCOL.md.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

// ---- bytes.c: records (named byte strings), growing buffers, small file tools

struct bytes {
  const unsigned char *at;
  size_t length;
};

struct buffer {
  unsigned char *at;
  size_t length, room;
};

void append(struct buffer *buffer, const void *bytes, size_t length);
void append_text(struct buffer *buffer, const char *text);
void drop_front(struct buffer *buffer, size_t length);

void add_field(struct buffer *record, const char *name, const void *value, size_t length);
void add_text_field(struct buffer *record, const char *name, const char *value);
// Walks the fields called `name` (any when NULL): *position starts at 0. False at the end.
bool next_field(struct bytes record, const char *name, size_t *position, struct bytes *value);
bool is_record(struct bytes record);
// The first field of that name as a new C string; NULL when there is none or it has a NUL byte.
char *text_field(struct bytes record, const char *name);
long long number_field(struct bytes record, const char *name);

char *read_file(const char *path);
// Replaces a file's content in one step. True when it was not the same before.
bool replace_file(const char *path, const void *content, size_t length, mode_t mode, bool *failed);
void write_text(const char *path, const char *text);
// Runs a program to its end without a shell; its exit code, or -1.
int run_program(char *const argv[]);
long long monotonic_ms(void);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ---- control.c: the host's requests

int open_control_port(void);
void serve_control_port(int port);

// ---- renew.c: who this box is

enum state { UNRENEWED, RENEWED, SEALED };

struct identity {
  enum state state;
  long long epoch;
  char *exec_token;
  // Environment of the template and the box, "NAME=value" each.
  char **environment;
};
extern struct identity identity;

// Carries out a renewal and fills `answer`; NULL, or why it was refused.
const char *renew(struct bytes request, struct buffer *answer);
// The SSH keys that enter besides certificates, until the next epoch; NULL, or why not.
const char *set_keys(struct bytes request);

// ---- tenant.c: stopping and going on of all that is the tenant's

void prepare_cgroups(void);
void join_exec_cgroup(void);
bool freeze_tenant(void);
void thaw_tenant(void);

// ---- disks.c: file systems

extern const char *disk_trouble;
void mount_home(void);
void grow_file_systems(void);
void settle_memory(void);
bool freeze_file_systems(long long hold_ms);
// True when they were still frozen.
bool thaw_file_systems(void);
// When the watchdog has to look again, in ms from now; -1 when nothing is frozen.
long long freeze_left_ms(void);

// ---- ports.c: what listens

void list_ports(struct buffer *answer);

// ---- exec.c: the exec server

int open_exec_listener(void);
void accept_exec(int listener);
void reap_exec(void);
// Ends everything that runs for connections of a former identity, and the connections to sessions.
void end_exec(void);
