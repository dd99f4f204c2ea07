// The exec server, TCP port 1: one process per connection, which becomes what its first frame asks for. See
// ../PROTOCOL.md for the frames.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec.h"

enum { PORT = 1, MAX_CONNECTIONS = 1024, BEGIN_PATIENCE_MS = 10000, SEND_PATIENCE_MS = 30000 };

const char *exec_directory = "/run/berth";
volatile sig_atomic_t told_to_end;
static pid_t connections[MAX_CONNECTIONS];

static void on_end(int signal_number) {
  (void)signal_number;
  told_to_end = 1;
}

int open_exec_listener(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 256) != 0)
    say("exec server cannot listen: %s", strerror(errno));
  return listener;
}

void reap_exec(void) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    for (size_t i = 0; i < MAX_CONNECTIONS; i++)
      if (connections[i] == pid) connections[i] = 0;
}

void end_exec(void) {
  for (size_t i = 0; i < MAX_CONNECTIONS; i++)
    if (connections[i]) kill(connections[i], SIGTERM);
  drop_attached();
}

// ---- Frames

void add_frame(struct buffer *to, int kind, const void *payload, size_t length) {
  unsigned char header[HEADER] = {length >> 24, length >> 16, length >> 8, length, kind};
  append(to, header, HEADER);
  append(to, payload, length);
}

void add_error(struct buffer *to, const char *code, const char *message) {
  struct buffer record = {0};
  add_text_field(&record, "code", code);
  add_text_field(&record, "message", message);
  add_frame(to, ERROR, record.at, record.length);
  free(record.at);
}

bool next_frame(struct buffer *in, size_t *at, int *kind, struct bytes *payload) {
  if (in->length - *at < HEADER) return false;
  const unsigned char *head = in->at + *at;
  size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
  if (length > MAX_FRAME) {
    *kind = -1;
    return true;
  }
  if (in->length - *at - HEADER < length) return false;
  *kind = head[4];
  *payload = (struct bytes){head + HEADER, length};
  *at += HEADER + length;
  return true;
}

bool send_all(int socket, const void *bytes, size_t length) {
  long long end = monotonic_ms() + SEND_PATIENCE_MS;
  size_t sent = 0;
  while (sent < length) {
    ssize_t took = send(socket, (const char *)bytes + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (took > 0) {
      sent += (size_t)took;
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return false;
    struct pollfd wait = {.fd = socket, .events = POLLOUT};
    poll(&wait, 1, 1000);
    if (monotonic_ms() > end) return false;
  }
  return true;
}

_Noreturn void fail(struct peer *peer, const char *code, const char *message) {
  struct buffer out = {0};
  add_error(&out, code, message);
  if (send_all(peer->socket, out.at, out.length)) {
    // Frames that nobody read would make the kernel reset the connection and lose the last one.
    shutdown(peer->socket, SHUT_WR);
    struct pollfd wait = {.fd = peer->socket, .events = POLLIN};
    static char chunk[CHUNK];
    while (poll(&wait, 1, 1000) > 0 && recv(peer->socket, chunk, sizeof chunk, MSG_DONTWAIT) > 0) {
    }
  }
  _exit(0);
}

// ---- The first frames of a connection

bool is_name(const char *text) {
  size_t length = strlen(text);
  return length > 0 && length < NAME_ROOM && text[0] != '-' &&
         strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static bool is_token(struct bytes given) {
  const char *token = identity.exec_token;
  if (!token || identity.state != RENEWED || strlen(token) != given.length) return false;
  unsigned char differs = 0; // Looks at every byte, whatever the first ones are.
  for (size_t i = 0; i < given.length; i++) differs |= given.at[i] ^ (unsigned char)token[i];
  return differs == 0;
}

// The payload is the token, or a record with it that says what else this connection may do.
static void authorize(struct peer *peer, struct bytes payload) {
  static const char refusal[] = "wrong token, or the box has no identity yet";
  if (is_token(payload)) {
    peer->authorized = true;
    return;
  }
  size_t position = 0;
  struct bytes token;
  bool known = is_record(payload) && next_field(payload, "token", &position, &token) && is_token(token);
  if (!known) fail(peer, "unauthorized", refusal);
  char *session = text_field(payload, "session"), *mode = text_field(payload, "mode");
  if (!session || !is_name(session)) fail(peer, "bad_request", "auth names no session");
  strcpy(peer->only, session);
  peer->only_reads = !mode || strcmp(mode, "write") != 0;
  free(session);
  free(mode);
  peer->authorized = true;
}

// A frame on an authorized connection. Returns when another may follow; `used` is where the frame ends.
static void begin(struct peer *peer, int kind, struct bytes payload, size_t used) {
  if (!is_record(payload)) fail(peer, "bad_request", "the first frame is no record");
  if (*peer->only && kind != ATTACH) fail(peer, "forbidden", "this connection may only attach to its session");
  char *session = text_field(payload, "session");
  switch (kind) {
  case START:
    if (session) start_session(peer, payload, used);
    // The rest is read by what runs the program; the record is needed until it runs.
    struct buffer record = {0};
    append(&record, payload.at, payload.length);
    drop_front(&peer->in, used);
    run_for_connection(peer, (struct bytes){record.at, record.length});
  case ATTACH:
    attach_session(peer, payload, used);
  case LIST:
    list_sessions(peer);
    break;
  case FORGET:
    forget_session(peer, session);
    break;
  case LISTEN:
    listen_for(peer, payload);
  case TAKE:
    take_connection(peer, payload, used);
  case DIAL:
    dial_for(peer, payload, used);
  default:
    fail(peer, "bad_request", "a connection begins with start, attach, list, forget, listen, take or dial");
  }
  free(session);
}

static void take_frames(struct peer *peer) {
  size_t at = 0;
  int kind;
  struct bytes payload;
  while (next_frame(&peer->in, &at, &kind, &payload)) {
    if (kind < 0) fail(peer, "bad_request", "frame is too long");
    if (peer->authorized) begin(peer, kind, payload, at);
    else if (kind == AUTH) authorize(peer, payload);
    else fail(peer, "unauthorized", "the first frame must be auth");
  }
  drop_front(&peer->in, at);
}

_Noreturn void serve(int socket) {
  struct peer peer = {.socket = socket};
  static unsigned char chunk[CHUNK];
  long long begin_by = monotonic_ms() + BEGIN_PATIENCE_MS;
  for (;;) {
    if (told_to_end) fail(&peer, "ended", "the box got a new identity");
    if (monotonic_ms() > begin_by) fail(&peer, "bad_request", "no first frame came");
    struct pollfd wait = {.fd = socket, .events = POLLIN};
    if (poll(&wait, 1, 1000) <= 0) continue;
    ssize_t got = recv(socket, chunk, sizeof chunk, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) _exit(0);
    if (got < 0) continue;
    append(&peer.in, chunk, (size_t)got);
    take_frames(&peer);
  }
}

// ---- Connections

static bool is_from_gateway(int connection) {
  struct sockaddr_in peer;
  socklen_t length = sizeof peer;
  return getpeername(connection, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET &&
         peer.sin_addr.s_addr == inet_addr("10.0.2.2");
}

void serve_apart(int connection) {
  size_t place = 0;
  while (place < MAX_CONNECTIONS && connections[place]) place++;
  if (place == MAX_CONNECTIONS) return;
  // A peer that is gone without a word (its host's network was taken away) must be noticed.
  int on = 1, idle = 15, interval = 5, count = 3;
  setsockopt(connection, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(connection, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(connection, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(connection, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    struct sigaction action = {.sa_handler = on_end};
    sigaction(SIGTERM, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(0);
    dup2(connection, 3);
    close_range(4, ~0U, 0);
    serve(3);
  }
  if (pid > 0) connections[place] = pid;
}

void accept_exec(int listener) {
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return;
  if (is_from_gateway(connection)) serve_apart(connection);
  close(connection);
}
