// Where sessions are found: each has a keeper, a process of its own, and a datagram socket with its id as name. A
// connection that wants to attach is handed to the keeper by it, with what it had already read.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "exec.h"

enum {
  MAX_SESSIONS = 64,
  MAIL_HEADER = 5,
  WAIT_MS = 5000,
  HURRY_MS = 100,
  ANSWER_PATIENCE_MS = 5000,
};

bool session_path(const char *id, char path[200]) {
  return id && is_name(id) && snprintf(path, 200, "%s/sessions/%s", exec_directory, id) < 108;
}

// ---- Mail

// A path that is too long is cut, and then nobody is there.
static struct sockaddr_un address_of(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

int open_mailbox(const char *path) {
  struct sockaddr_un address = address_of(path);
  int mailbox = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (mailbox >= 0 && bind(mailbox, (struct sockaddr *)&address, sizeof address) == 0) return mailbox;
  if (mailbox >= 0) close(mailbox);
  return -1;
}

bool send_mail(const char *path, const struct mail *mail, bool wait) {
  struct sockaddr_un address = address_of(path);
  int from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  size_t length = mail->record.length;
  unsigned char header[MAIL_HEADER] = {(unsigned char)mail->kind, length >> 24, length >> 16, length >> 8, length};
  struct iovec parts[3] = {
      {header, sizeof header}, {(void *)mail->record.at, length}, {(void *)mail->rest.at, mail->rest.length}};
  union {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = parts, .msg_iovlen = 3};
  if (mail->file >= 0) {
    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(head), &mail->file, sizeof(int));
  }
  long long end = monotonic_ms() + (wait ? WAIT_MS : HURRY_MS);
  ssize_t sent;
  // A keeper takes its mail at once; ten pieces wait when it is busy.
  while ((sent = sendmsg(from, &message, MSG_NOSIGNAL)) < 0 && (errno == EAGAIN || errno == EINTR) && monotonic_ms() < end)
    usleep(1000);
  close(from);
  return sent >= 0;
}

bool take_mail(int mailbox, unsigned char *room, struct mail *mail) {
  struct iovec part = {room, MAIL_ROOM};
  union {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
  ssize_t got = recvmsg(mailbox, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0) return false;
  *mail = (struct mail){.kind = 0, .file = -1};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (head && head->cmsg_type == SCM_RIGHTS) memcpy(&mail->file, CMSG_DATA(head), sizeof(int));
  if (got < MAIL_HEADER) return true;
  size_t length = (size_t)room[1] << 24 | (size_t)room[2] << 16 | (size_t)room[3] << 8 | room[4];
  if (length > (size_t)got - MAIL_HEADER) return true;
  mail->kind = room[0];
  mail->record = (struct bytes){room + MAIL_HEADER, length};
  mail->rest = (struct bytes){room + MAIL_HEADER + length, (size_t)got - MAIL_HEADER - length};
  return true;
}

// ---- All sessions

static DIR *open_sessions(char path[200]) {
  snprintf(path, 200, "%s/sessions", exec_directory);
  mkdir(exec_directory, 0755);
  mkdir(path, 0700);
  return opendir(path);
}

static bool next_session(DIR *directory, char path[200], char id[NAME_ROOM]) {
  struct dirent *entry;
  while (directory && (entry = readdir(directory))) {
    if (!session_path(entry->d_name, path)) continue;
    strcpy(id, entry->d_name);
    return true;
  }
  return false;
}

void drop_attached(void) {
  char path[200], id[NAME_ROOM];
  DIR *directory = open_sessions(path);
  while (next_session(directory, path, id)) send_mail(path, &(struct mail){.kind = MAIL_DROP, .file = -1}, false);
  if (directory) closedir(directory);
}

// Asks a keeper and waits for its whole answer, which ends with the pipe: at most `answer`'s room.
static void ask(const char *path, int kind, struct buffer *answer) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
  bool sent = send_mail(path, &(struct mail){.kind = kind, .file = ends[1]}, true);
  close(ends[1]);
  char chunk[4096];
  struct pollfd wait = {.fd = ends[0], .events = POLLIN};
  ssize_t got = 1;
  while (sent && got > 0 && poll(&wait, 1, ANSWER_PATIENCE_MS) > 0)
    if ((got = read(ends[0], chunk, sizeof chunk)) > 0) append(answer, chunk, (size_t)got);
  close(ends[0]);
}

void list_sessions(struct peer *peer) {
  struct buffer record = {0}, out = {0};
  char path[200], id[NAME_ROOM];
  DIR *directory = open_sessions(path);
  while (next_session(directory, path, id)) {
    struct buffer about = {0};
    ask(path, MAIL_INFO, &about);
    if (about.length && is_record((struct bytes){about.at, about.length}))
      add_field(&record, "session", about.at, about.length);
    free(about.at);
  }
  if (directory) closedir(directory);
  add_frame(&out, SESSIONS, record.at, record.length);
  if (!send_all(peer->socket, out.at, out.length)) _exit(0);
  free(record.at);
  free(out.at);
}

void forget_session(struct peer *peer, const char *id) {
  char path[200];
  if (!session_path(id, path)) fail(peer, "bad_request", "a session's id is 1 to 64 of a-z 0-9 -");
  struct buffer nothing = {0};
  ask(path, MAIL_FORGET, &nothing);
  free(nothing.at);
  list_sessions(peer);
}

// True when there is room for one more; what ended longest ago makes it.
static bool make_room(void) {
  char path[200], id[NAME_ROOM], eldest[200] = "";
  long long since = 0;
  int count = 0;
  DIR *directory = open_sessions(path);
  while (next_session(directory, path, id)) {
    struct stat status;
    if (stat(path, &status) != 0) continue;
    count++;
    long long changed = status.st_ctim.tv_sec * 1000000000LL + status.st_ctim.tv_nsec;
    bool ended = (status.st_mode & 0200) == 0;
    if (!ended || (*eldest && changed >= since)) continue;
    since = changed;
    strcpy(eldest, path);
  }
  if (directory) closedir(directory);
  if (count < MAX_SESSIONS) return true;
  if (!*eldest) return false;
  struct buffer nothing = {0};
  ask(eldest, MAIL_FORGET, &nothing);
  free(nothing.at);
  unlink(eldest); // A keeper that was killed leaves its name.
  return true;
}

// ---- Handing over

// What the keeper is told: only what it has use for, and only what this connection may.
static void add_attach(struct peer *peer, struct bytes request, const char *mode, struct buffer *record) {
  char *from = text_field(request, "from"), *writer = text_field(request, "writer");
  if ((from && strlen(from) > 20) || (writer && strlen(writer) >= NAME_ROOM))
    fail(peer, "bad_request", "from or writer is too long");
  if (from) add_text_field(record, "from", from);
  if (writer) add_text_field(record, "writer", writer);
  add_text_field(record, "mode", mode);
  free(from);
  free(writer);
}

static struct mail attach_mail(struct peer *peer, const struct buffer *record, size_t used) {
  return (struct mail){
      .kind = MAIL_ATTACH,
      .file = peer->socket,
      .record = {record->at, record->length},
      .rest = {peer->in.at + used, peer->in.length - used},
  };
}

_Noreturn void attach_session(struct peer *peer, struct bytes request, size_t used) {
  char *id = text_field(request, "session"), *mode = text_field(request, "mode"), path[200];
  if (!session_path(id, path)) fail(peer, "bad_request", "a session's id is 1 to 64 of a-z 0-9 -");
  bool writes = mode && strcmp(mode, "write") == 0;
  if (*peer->only && (strcmp(peer->only, id) != 0 || (writes && peer->only_reads)))
    fail(peer, "forbidden", "this connection may not attach so");
  struct buffer record = {0};
  add_attach(peer, request, writes ? "write" : "read", &record);
  struct mail mail = attach_mail(peer, &record, used);
  if (!send_mail(path, &mail, true)) fail(peer, "no_such_session", "there is no such session in this box");
  _exit(0);
}

_Noreturn void start_session(struct peer *peer, struct bytes request, size_t used) {
  char *id = text_field(request, "session"), path[200];
  if (!session_path(id, path)) fail(peer, "bad_request", "a session's id is 1 to 64 of a-z 0-9 -");
  struct buffer record = {0};
  add_attach(peer, request, "write", &record);
  struct mail mail = attach_mail(peer, &record, used);
  char directory[200];
  DIR *sessions = open_sessions(directory);
  if (!sessions || flock(dirfd(sessions), LOCK_EX) != 0) fail(peer, "cannot_start", "there is no place for sessions");
  if (send_mail(path, &mail, true)) _exit(0); // It is there: attached to it.
  unlink(path);
  if (!make_room()) fail(peer, "too_many_sessions", "64 sessions run in this box: forget one");
  int mailbox = open_mailbox(path);
  if (mailbox < 0 || !send_mail(path, &mail, true)) fail(peer, "cannot_start", strerror(errno));
  pid_t keeper = fork();
  if (keeper == 0) {
    dup2(mailbox, 3);
    close_range(4, ~0U, 0);
    keep_session(3, path, id, request);
  }
  if (keeper < 0) {
    unlink(path);
    fail(peer, "cannot_start", strerror(errno));
  }
  _exit(0);
}
