// Connections that become raw bytes: to something that listens in the box (dial), and from something that connects to
// where a client listens in it (listen, take).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "exec.h"

enum {
  MAX_WAITING = 64, // Accepted and not yet taken; more wait in the kernel's queue.
  TAKE_PATIENCE_MS = 30000,
  DIAL_PATIENCE_MS = 10000,
  PIPE_SIZE = 256 * 1024,
};

// ---- Raw bytes

struct direction {
  int from, to, pipe[2];
  size_t held;
  bool ended, passed_on; // `from` gave its end; `to` was told.
};

// Moves what can be moved; false when a side broke.
static bool move_bytes(struct direction *d) {
  for (bool moved = true; moved;) {
    moved = false;
    if (!d->ended && d->held < PIPE_SIZE) {
      ssize_t got = splice(d->from, NULL, d->pipe[1], NULL, PIPE_SIZE - d->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (got < 0 && errno != EAGAIN && errno != EINTR) return false;
      if (got == 0) d->ended = true;
      if (got > 0) d->held += (size_t)got;
    }
    if (d->held > 0) {
      ssize_t put = splice(d->pipe[0], NULL, d->to, NULL, d->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (put < 0 && errno != EAGAIN && errno != EINTR) return false;
      if (put > 0) d->held -= (size_t)put;
      moved = put > 0;
    }
  }
  if (d->ended && d->held == 0 && !d->passed_on) {
    shutdown(d->to, SHUT_WR);
    d->passed_on = true;
  }
  return true;
}

// Joins two sockets until both directions have ended or one broke.
static _Noreturn void join(int left, int right) {
  struct direction ways[2] = {{.from = left, .to = right}, {.from = right, .to = left}};
  for (int i = 0; i < 2; i++) {
    fcntl(ways[i].from, F_SETFL, O_NONBLOCK);
    if (pipe2(ways[i].pipe, O_CLOEXEC | O_NONBLOCK) != 0) _exit(1);
    fcntl(ways[i].pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
  }
  while (!told_to_end && !(ways[0].passed_on && ways[1].passed_on)) {
    if (!move_bytes(&ways[0]) || !move_bytes(&ways[1])) break;
    struct pollfd files[2] = {{.fd = left}, {.fd = right}};
    for (int i = 0; i < 2; i++) {
      // A pipe may be full of small pieces before it holds as many bytes as it could.
      if (!ways[i].ended && ways[i].held < PIPE_SIZE / 2) files[i].events |= POLLIN;
      if (ways[i].held > 0) files[1 - i].events |= POLLOUT;
      if (ways[i].ended && ways[1 - i].held == 0 && ways[1 - i].ended) files[i].fd = -1;
    }
    if (poll(files, 2, 1000) > 0 && ((files[0].revents | files[1].revents) & POLLERR)) break;
  }
  _exit(0);
}

// ---- Addresses

// `ADDRESS:PORT`, the address numeric: IPv4, or IPv6 in brackets. Its length, or 0.
static socklen_t parse_address(const char *text, struct sockaddr_storage *address) {
  const char *colon = strrchr(text, ':');
  char host[64];
  if (!colon || (size_t)(colon - text) >= sizeof host) return 0;
  snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
  char *rest;
  long port = strtol(colon + 1, &rest, 10);
  if (!colon[1] || *rest || port < 0 || port > 65535) return 0;
  memset(address, 0, sizeof *address);
  size_t length = strlen(host);
  if (host[0] == '[' && length > 2 && host[length - 1] == ']') {
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    host[length - 1] = 0;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t)port);
    return inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1 ? sizeof *six : 0;
  }
  struct sockaddr_in *four = (struct sockaddr_in *)address;
  four->sin_family = AF_INET;
  four->sin_port = htons((uint16_t)port);
  return inet_pton(AF_INET, host, &four->sin_addr) == 1 ? sizeof *four : 0;
}

static void name_address(const struct sockaddr_storage *address, char name[80]) {
  char host[INET6_ADDRSTRLEN] = "";
  const struct sockaddr_in *four = (const struct sockaddr_in *)address;
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
  if (address->ss_family == AF_INET) {
    inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
    snprintf(name, 80, "%s:%d", host, ntohs(four->sin_port));
  } else if (address->ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
    snprintf(name, 80, "[%s]:%d", host, ntohs(six->sin6_port));
  } else {
    strcpy(name, "unix");
  }
}

// What is made from here on is the user's, where there is one.
static void become_dev(bool for_good) {
  struct person dev = {0};
  if (!find_person("dev", &dev)) return;
  if (for_good) become_person(&dev);
  else if (setegid(dev.gid) != 0 || seteuid(dev.uid) != 0) _exit(1);
}

static void become_root(void) {
  if (seteuid(0) != 0 || setegid(0) != 0) _exit(1);
}

// ---- Dial

static int dial(const char *address) {
  struct sockaddr_storage to;
  socklen_t length = parse_address(address, &to);
  if (!length) {
    errno = EINVAL;
    return -1;
  }
  int connection = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
  socklen_t size = sizeof error;
  if (connection < 0) return -1;
  if (connect(connection, (struct sockaddr *)&to, length) != 0) {
    struct pollfd wait = {.fd = connection, .events = POLLOUT};
    if (errno != EINPROGRESS) error = errno;
    else if (poll(&wait, 1, DIAL_PATIENCE_MS) <= 0) error = ETIMEDOUT;
    else getsockopt(connection, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error) {
    close(connection);
    errno = error;
    return -1;
  }
  int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return connection;
}

_Noreturn void dial_for(struct peer *peer, struct bytes request, size_t used) {
  become_dev(true);
  char *address = text_field(request, "tcp");
  int connection = -1;
  errno = EINVAL;
  if (address && strncmp(address, "localhost:", 10) == 0) {
    char name[40];
    snprintf(name, sizeof name, "127.0.0.1:%.6s", address + 10);
    connection = dial(name);
    snprintf(name, sizeof name, "[::1]:%.6s", address + 10);
    if (connection < 0 && errno == ECONNREFUSED) connection = dial(name);
  } else if (address) {
    connection = dial(address);
  }
  if (connection < 0) fail(peer, "cannot_dial", strerror(errno));
  struct buffer out = {0};
  add_frame(&out, DIALED, NULL, 0);
  if (!send_all(peer->socket, out.at, out.length)) _exit(0);
  if (!send_all(connection, peer->in.at + used, peer->in.length - used)) _exit(0);
  join(peer->socket, connection);
}

// ---- Listen

struct listener {
  char id[17], door[200], path[108]; // `door`: where those that take ask; `path`: of a Unix socket.
  int socket, mailbox;
  unsigned long long accepted;
  struct {
    int file;
    unsigned long long number;
    long long until;
  } waiting[MAX_WAITING];
  size_t count;
};

static void open_door(struct peer *peer, struct listener *l) {
  unsigned char random[8];
  if (getrandom(random, sizeof random, 0) != sizeof random) fail(peer, "cannot_listen", "no random bytes");
  for (size_t i = 0; i < sizeof random; i++) sprintf(l->id + 2 * i, "%02x", random[i]);
  char directory[150];
  snprintf(directory, sizeof directory, "%s/listeners", exec_directory);
  mkdir(exec_directory, 0755);
  mkdir(directory, 0700);
  snprintf(l->door, sizeof l->door, "%s/%s", directory, l->id);
  l->mailbox = open_mailbox(l->door);
  if (l->mailbox < 0) fail(peer, "cannot_listen", strerror(errno));
}

// As the user, who so makes and reaches no more than what is the user's.
static void open_listener(struct peer *peer, struct listener *l, struct bytes request, char name[120]) {
  char *tcp = text_field(request, "tcp"), *path = text_field(request, "unix");
  struct sockaddr_storage address = {.ss_family = AF_UNIX};
  socklen_t length = sizeof(struct sockaddr_un);
  if (path && strlen(path) < sizeof l->path && path[0] == '/') {
    strcpy(l->path, path);
    strcpy(((struct sockaddr_un *)&address)->sun_path, path);
  } else {
    length = tcp && !path ? parse_address(tcp, &address) : 0;
  }
  if (!length) fail(peer, "bad_request", "listen needs tcp: ADDRESS:PORT with a numeric address, or unix: a path");
  become_dev(false);
  int on = 1;
  l->socket = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  setsockopt(l->socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  umask(0177);
  bool listens = l->socket >= 0 && bind(l->socket, (struct sockaddr *)&address, length) == 0 && listen(l->socket, 64) == 0;
  int error = errno;
  become_root();
  if (!listens) {
    unlink(l->door);
    fail(peer, "cannot_listen", strerror(error));
  }
  if (*l->path) {
    snprintf(name, 120, "%s", l->path);
  } else {
    length = sizeof address;
    getsockname(l->socket, (struct sockaddr *)&address, &length);
    name_address(&address, name);
  }
}

// False when the client is gone.
static bool accept_next(struct peer *peer, struct listener *l) {
  struct sockaddr_storage from = {0};
  socklen_t length = sizeof from;
  int connection = accept4(l->socket, (struct sockaddr *)&from, &length, SOCK_CLOEXEC);
  if (connection < 0) return true;
  int on = 1;
  if (from.ss_family != AF_UNIX) setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  l->waiting[l->count].file = connection;
  l->waiting[l->count].number = ++l->accepted;
  l->waiting[l->count++].until = monotonic_ms() + TAKE_PATIENCE_MS;
  char id[60], name[80];
  snprintf(id, sizeof id, "%s-%llu", l->id, l->accepted);
  name_address(&from, name);
  struct buffer record = {0}, out = {0};
  add_text_field(&record, "connection", id);
  add_text_field(&record, "peer", name);
  add_frame(&out, ACCEPTED, record.at, record.length);
  bool sent = send_all(peer->socket, out.at, out.length);
  free(record.at);
  free(out.at);
  return sent;
}

static void drop_waiting(struct listener *l, size_t place) {
  close(l->waiting[place].file);
  l->waiting[place] = l->waiting[--l->count];
}

// The connection that the mail names goes to who asks for it, through the socket that came with the mail.
static void give_connection(struct listener *l, const struct mail *mail) {
  unsigned long long number = (unsigned long long)number_field(mail->record, "number");
  for (size_t i = 0; i < l->count && mail->file >= 0; i++) {
    if (l->waiting[i].number != number) continue;
    union {
      char room[CMSG_SPACE(sizeof(int))];
      struct cmsghdr align;
    } control = {0};
    struct iovec part = {"", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(head), &l->waiting[i].file, sizeof(int));
    sendmsg(mail->file, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    drop_waiting(l, i);
    break;
  }
  if (mail->file >= 0) close(mail->file);
}

_Noreturn void listen_for(struct peer *peer, struct bytes request) {
  static struct listener listener;
  struct listener *l = &listener;
  static unsigned char room[MAIL_ROOM];
  char name[120];
  open_door(peer, l);
  open_listener(peer, l, request, name);
  struct buffer record = {0}, out = {0};
  add_text_field(&record, "address", name);
  add_frame(&out, LISTENING, record.at, record.length);
  bool alive = send_all(peer->socket, out.at, out.length);
  while (alive && !told_to_end) {
    struct pollfd files[3] = {{.fd = peer->socket, .events = POLLIN},
                              {.fd = l->count < MAX_WAITING ? l->socket : -1, .events = POLLIN},
                              {.fd = l->mailbox, .events = POLLIN}};
    if (poll(files, 3, 1000) < 0) continue;
    char chunk[256]; // Nothing more is expected from the client; its end is.
    if (files[0].revents && recv(peer->socket, chunk, sizeof chunk, MSG_DONTWAIT) <= 0) break;
    struct mail mail;
    while (files[2].revents && take_mail(l->mailbox, room, &mail)) give_connection(l, &mail);
    for (size_t i = l->count; i-- > 0;)
      if (monotonic_ms() > l->waiting[i].until) drop_waiting(l, i);
    if (files[1].revents) alive = accept_next(peer, l);
  }
  unlink(l->door);
  if (*l->path) {
    become_dev(false);
    unlink(l->path);
  }
  _exit(0);
}

// ---- Take

static int ask_for(const char *door, const char *number) {
  int pair[2], file = -1;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -1;
  struct buffer record = {0};
  add_text_field(&record, "number", number);
  struct mail mail = {.kind = TAKE, .file = pair[1], .record = {record.at, record.length}};
  bool sent = send_mail(door, &mail, true);
  close(pair[1]);
  char byte;
  struct iovec part = {&byte, 1};
  union {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
  if (sent && recvmsg(pair[0], &message, MSG_CMSG_CLOEXEC) > 0) {
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head && head->cmsg_type == SCM_RIGHTS) memcpy(&file, CMSG_DATA(head), sizeof file);
  }
  close(pair[0]);
  return file;
}

_Noreturn void take_connection(struct peer *peer, struct bytes request, size_t used) {
  char *id = text_field(request, "connection"), door[200];
  char *dash = id && is_name(id) ? strchr(id, '-') : NULL;
  if (!dash) _exit(0); // Its bytes are raw already: there is no way to say why.
  *dash = 0;
  snprintf(door, sizeof door, "%s/listeners/%.64s", exec_directory, id);
  int connection = ask_for(door, dash + 1);
  if (connection < 0 || !send_all(connection, peer->in.at + used, peer->in.length - used)) _exit(0);
  join(peer->socket, connection);
}
