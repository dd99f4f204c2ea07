// The loop around one program: its output goes into a ring, and from there to every connection that is attached
// (attached.c). A session's program has any number of them; a plain one has one and ends with it.
#define _GNU_SOURCE
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

enum {
  ACK_AFTER_MS = 20,
  LAST_WORDS = 1024 * 1024, // A pipe holds no more when its program ends.
  LOOK_AGAIN_MS = 100,
  AT_ONCE = 4, // Pieces that are read as they come: an echo, a prompt, a screen that is drawn anew.
  GATHER_MS = 4,
  GATHER_LOOK_US = 500,
  QUIET_MS = 20,
  MUCH_IN_TERMINAL = 2048, // It holds 4095 bytes for reading.
  MUCH_IN_PIPE = 32 * 1024,
  ARGV_SHOWN = 2048,
};
static const long long KEEP_ENDED_MS = 24 * 3600 * 1000LL;

// ---- The program's end

static void close_output(int *from) {
  if (*from >= 0) close(*from);
  *from = -1;
}

static void begin_draining(struct session *s) {
  s->exit_code = exit_code_of(&s->program);
  s->phase = DRAINING;
  s->last_words = s->end + LAST_WORDS;
  s->input.length = s->input_at = 0;
  close_output(&s->program.to);
}

// What the program wrote is in the pipes already, so what is there now is all. (What it left running may write on
// for ever.) Waits, as long as the program would have, for those attached.
static void drain(struct session *s) {
  int *from[2] = {&s->program.from, &s->program.from_error};
  for (int i = 0; i < 2; i++) {
    while (*from[i] >= 0 && room_in_ring(s) > 0 && s->end < s->last_words)
      if (!read_output(s, *from[i], i == 1, true)) close_output(from[i]);
    if (s->end >= s->last_words) close_output(from[i]);
    if (*from[i] >= 0) return;
  }
  s->phase = ENDED;
  s->keep_until = monotonic_ms() + KEEP_ENDED_MS;
  if (s->path) chmod(s->path, 0400); // Tells that it may make room for others.
}

static void add_about(struct session *s, struct bytes request) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  size_t position = 0, shown = 0;
  struct bytes argument;
  while (next_field(request, "argv", &position, &argument) && (shown += argument.length + 1) < ARGV_SHOWN)
    add_field(&s->about, "argv", argument.at, argument.length);
  char *user = text_field(request, "user");
  add_text_field(&s->about, "session", s->id);
  add_text_field(&s->about, "user", user ? user : "");
  add_text_field(&s->about, "isTerminal", s->program.terminal ? "1" : "0");
  add_number_field(&s->about, "startedAtMs", (unsigned long long)(now.tv_sec * 1000LL + now.tv_nsec / 1000000));
  free(user);
}

static void tell_about(struct session *s, int to) {
  struct buffer record = {0};
  append(&record, s->about.at, s->about.length);
  size_t attached = 0;
  for (size_t i = 0; i < s->count; i++) attached += !s->attached[i].leaving;
  add_number_field(&record, "attached", attached);
  add_number_field(&record, "end", s->end);
  if (s->phase == ENDED) add_number_field(&record, "exitCode", (unsigned)s->exit_code);
  ssize_t ignored = write(to, record.at, record.length); // Less than a pipe holds.
  (void)ignored;
  free(record.at);
  close(to);
}

static void leave_all(struct session *s, const char *code, const char *message) {
  for (size_t i = 0; i < s->count; i++) {
    leave_with(&s->attached[i], code, message);
    send_output(s, &s->attached[i]);
  }
}

static void take_all_mail(struct session *s) {
  static unsigned char room[MAIL_ROOM];
  struct mail mail;
  while (take_mail(s->mailbox, room, &mail)) {
    if (mail.kind == MAIL_ATTACH && mail.file >= 0) attach(s, &mail);
    if (mail.kind == MAIL_INFO && mail.file >= 0) tell_about(s, mail.file);
    if (mail.kind == MAIL_DROP) leave_all(s, "detached", "the box got a new identity; attach again");
    if (mail.kind == MAIL_FORGET) {
      unlink(s->path);
      leave_all(s, "ended", "the session was ended");
      end_program(&s->program);
      _exit(0);
    }
  }
}

// ---- The loop

static void sooner(long long *when, long long other) {
  if (other > 0 && (*when == 0 || other < *when)) *when = other;
}

// When something is to be done although nothing happens; 0: never.
static long long next_time(struct session *s) {
  long long when = 0;
  sooner(&when, s->program.kill_at);
  sooner(&when, s->look_again);
  sooner(&when, s->keep_until);
  bool owed = false;
  for (size_t i = 0; i < s->count; i++) {
    owed |= owes_ack(&s->attached[i]);
    if (s->attached[i].leaving) sooner(&when, s->attached[i].gone_by);
  }
  if (!owed) s->ack_by = 0;
  else if (s->ack_by == 0) s->ack_by = monotonic_ms() + ACK_AFTER_MS;
  sooner(&when, s->ack_by);
  return when;
}

static void act_on_time(struct session *s) {
  long long now = monotonic_ms();
  watch_timeout(&s->program);
  if (s->look_again && now >= s->look_again) s->look_again = 0;
  for (size_t i = s->count; i-- > 0;) {
    struct attachment *a = &s->attached[i];
    if (s->ack_by && now >= s->ack_by && owes_ack(a) && a->out.length == 0) add_ack(a);
    if (a->leaving && now >= a->gone_by) detach(s, i);
  }
  if (s->ack_by && now >= s->ack_by) s->ack_by = 0;
  if (s->keep_until && now >= s->keep_until && s->path) {
    unlink(s->path);
    _exit(0);
  }
}

static void serve_attached(struct session *s, const struct pollfd *files) {
  for (size_t i = s->count; i-- > 0;) {
    struct attachment *a = &s->attached[i];
    int events = files[i].revents;
    bool gone = (events & (POLLERR | POLLHUP)) != 0;
    if (events & POLLIN) gone |= !read_client(s, a);
    else if (events & POLLRDHUP) gone = true; // Gone while it was not read.
    if (events & POLLOUT) a->full = false;
    if (gone) detach(s, i);
  }
}

static int held_in(int from) {
  int held = 0;
  return from >= 0 && ioctl(from, FIONREAD, &held) == 0 ? held : 0;
}

// A program that writes on and on is let do so until much has come or a moment has passed: each piece that is read
// is a switch between processes and a packet, and those are dear in a box. What follows input is read at once, and so
// is what came to both streams, whose order would be lost.
static bool gathers(const struct session *s) {
  if (s->pieces < AT_ONCE || monotonic_ms() >= s->read_at + GATHER_MS) return false;
  int out = held_in(s->program.from), error = held_in(s->program.from_error);
  int much = s->program.terminal ? MUCH_IN_TERMINAL : MUCH_IN_PIPE;
  return out < much && error < much && !(out && error);
}

static void read_program(struct session *s, const struct pollfd *out, const struct pollfd *error) {
  unsigned long long before = s->end;
  if (out->revents && !read_output(s, s->program.from, false, false)) {
    // A terminal that nobody holds any more may be opened again; its program's end is what counts.
    if (s->program.terminal) s->look_again = monotonic_ms() + LOOK_AGAIN_MS;
    else close_output(&s->program.from);
  }
  if (error->revents && !read_output(s, s->program.from_error, true, false)) close_output(&s->program.from_error);
  if (s->end == before) return;
  long long now = monotonic_ms();
  s->pieces = now - s->read_at > QUIET_MS ? 1 : s->pieces + 1;
  s->read_at = now;
}

static void wait_for_events(struct session *s, struct pollfd *files) {
  size_t room = room_in_ring(s), room_in = s->input.length - s->input_at < STDIN_LIMIT;
  bool running = s->phase == RUNNING, waits = running && room && gathers(s), reads_output = running && room && !waits;
  files[0] = (struct pollfd){.fd = s->mailbox, .events = POLLIN};
  files[1] = (struct pollfd){.fd = running ? s->program.ended : -1, .events = POLLIN};
  files[2] = (struct pollfd){.fd = s->input.length ? s->program.to : -1, .events = POLLOUT};
  files[3] = (struct pollfd){.fd = reads_output && !s->look_again ? s->program.from : -1, .events = POLLIN};
  files[4] = (struct pollfd){.fd = reads_output ? s->program.from_error : -1, .events = POLLIN};
  for (size_t i = 0; i < s->count; i++) {
    struct attachment *a = &s->attached[i];
    bool reads = room_in || !a->writes || a->leaving;
    files[5 + i] = (struct pollfd){.fd = a->socket, .events = (short)((reads ? POLLIN : POLLRDHUP) | (a->full ? POLLOUT : 0))};
  }
  long long when = next_time(s), left = when - monotonic_ms();
  if (left < 0) left = 0;
  struct timespec timeout = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
  if (waits && (!when || left > 0)) timeout = (struct timespec){.tv_nsec = GATHER_LOOK_US * 1000};
  sigset_t none; // A signal that comes between a look at `told_to_end` and the wait ends the wait.
  sigemptyset(&none);
  if (ppoll(files, 5 + s->count, when || waits ? &timeout : NULL, &none) < 0)
    for (size_t i = 0; i < 5 + s->count; i++) files[i].revents = 0;
}

static _Noreturn void loop(struct session *s) {
  struct pollfd files[5 + MAX_ATTACHED];
  for (;;) {
    for (size_t i = s->count; i-- > 0;)
      if (!s->attached[i].full && !send_output(s, &s->attached[i])) detach(s, i);
    if (s->phase == DRAINING) {
      unsigned long long before = s->end;
      drain(s);
      if (s->phase == ENDED || s->end != before) continue;
    }
    if (!s->path && told_to_end && s->count > 0 && !s->attached[0].leaving) {
      struct peer peer = {.socket = s->attached[0].socket};
      end_program(&s->program);
      if (!send_all(peer.socket, s->attached[0].out.at, s->attached[0].out.length)) _exit(0);
      fail(&peer, "ended", "the box got a new identity");
    }
    if (!s->path && s->count == 0) {
      end_program(&s->program);
      _exit(0);
    }
    wait_for_events(s, files);
    serve_attached(s, files + 5);
    feed_program(s);
    if (s->phase == RUNNING) read_program(s, &files[3], &files[4]);
    if (files[1].revents) begin_draining(s);
    if (files[0].revents) take_all_mail(s);
    act_on_time(s);
  }
}

static void prepare(struct session *s, struct bytes request) {
  s->ring = mmap(NULL, RING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (s->ring == MAP_FAILED) abort();
  size_t position = 0;
  struct bytes size;
  if (!next_field(request, "pty", &position, &size)) s->kinds = calloc(RING / 8, 1);
}

_Noreturn void run_for_connection(struct peer *peer, struct bytes request) {
  static struct session session = {.id = "", .mailbox = -1};
  struct session *s = &session;
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigprocmask(SIG_BLOCK, &end, NULL);
  prepare(s, request);
  const char *why = start_program(&s->program, request);
  if (why) fail(peer, "cannot_start", why);
  s->count = 1;
  s->attached[0] = (struct attachment){.socket = peer->socket, .writes = true, .in = peer->in};
  pid_t pid = s->program.pid;
  unsigned char bytes[4] = {pid >> 24, pid >> 16, pid >> 8, pid};
  add_frame(&s->attached[0].out, STARTED, bytes, sizeof bytes);
  take_frames(s, &s->attached[0]);
  loop(s);
}

_Noreturn void keep_session(int mailbox, const char *path, const char *id, struct bytes request) {
  static struct session session;
  struct session *s = &session;
  *s = (struct session){.id = id, .path = path, .mailbox = mailbox};
  signal(SIGTERM, SIG_DFL);
  prepare(s, request);
  const char *why = start_program(&s->program, request);
  if (why) {
    unlink(path);
    static unsigned char room[MAIL_ROOM];
    for (struct mail mail; take_mail(mailbox, room, &mail);)
      if (mail.kind == MAIL_ATTACH && mail.file >= 0) refuse(mail.file, "cannot_start", why);
    _exit(0);
  }
  add_about(s, request);
  loop(s);
}
