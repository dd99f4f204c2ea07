// The exec server, TCP port 1: runs a program per connection. See ../PROTOCOL.md for the frames.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

enum { AUTH = 1, START, STDIN, STDIN_EOF, SIGNAL, RESIZE, STARTED = 16, STDOUT, STDERR, EXIT, ERROR };
enum {
  PORT = 1,
  MAX_CONNECTIONS = 256,
  MAX_FRAME = 1024 * 1024,
  HEADER = 5,
  CHUNK = 32768,
  OUT_LIMIT = 256 * 1024,  // Above it the program's output is not read: it waits for the client.
  STDIN_LIMIT = 256 * 1024, // Above it the client's frames are not read: it waits for the program.
  BEGIN_PATIENCE_MS = 10000,
  LAST_WORDS = 1024 * 1024, // A pipe holds no more when its program ends.
  KILL_PATIENCE_MS = 2000,
  FINISH_PATIENCE_MS = 30000,
};

static pid_t connections[MAX_CONNECTIONS];

// One connection, in a process of its own.
struct session {
  int socket;
  struct buffer in, out, input; // Frames from and to the client; what waits for the program's stdin.
  bool authorized, input_ended;
  pid_t child;
  int child_fd;  // pidfd: readable when the program ended.
  int to, from, from_error; // The program's stdin, stdout and stderr; with a terminal all but `to` are it.
  bool terminal;
};

static volatile sig_atomic_t told_to_end;

static void on_end(int signal_number) {
  (void)signal_number;
  told_to_end = 1;
}

int open_exec_listener(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0)
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
}

static void send_frame(struct session *s, int kind, const void *payload, size_t length) {
  unsigned char header[HEADER] = {length >> 24, length >> 16, length >> 8, length, kind};
  append(&s->out, header, HEADER);
  append(&s->out, payload, length);
}

static void flush(struct session *s) {
  while (s->out.length) {
    ssize_t sent = send(s->socket, s->out.at, s->out.length, MSG_DONTWAIT);
    if (sent <= 0) return;
    drop_front(&s->out, (size_t)sent);
  }
}

// Ends the program and what it started in its process group: politely, then not.
static void end_program(struct session *s) {
  if (s->child <= 0) return;
  if (s->terminal && s->from >= 0) close(s->from); // Hangs up the terminal's jobs.
  kill(-s->child, SIGHUP);
  kill(-s->child, SIGCONT);
  struct pollfd wait = {.fd = s->child_fd, .events = POLLIN};
  poll(&wait, 1, KILL_PATIENCE_MS);
  kill(-s->child, SIGKILL);
  waitpid(s->child, NULL, 0);
}

// Sends what is left, waits for the client to have it, and ends this connection's process.
static _Noreturn void finish(struct session *s) {
  long long end = monotonic_ms() + FINISH_PATIENCE_MS;
  while (s->out.length && monotonic_ms() < end) {
    struct pollfd wait = {.fd = s->socket, .events = POLLOUT};
    poll(&wait, 1, 1000);
    size_t before = s->out.length;
    flush(s);
    if (wait.revents & (POLLERR | POLLHUP) && s->out.length == before) break;
  }
  // Frames that we did not read would make the kernel reset the connection and lose the last ones.
  shutdown(s->socket, SHUT_WR);
  struct pollfd wait = {.fd = s->socket, .events = POLLIN};
  char chunk[CHUNK];
  while (poll(&wait, 1, 1000) > 0 && recv(s->socket, chunk, sizeof chunk, MSG_DONTWAIT) > 0) {
  }
  _exit(0);
}

static _Noreturn void fail(struct session *s, const char *code, const char *message) {
  struct buffer record = {0};
  add_text_field(&record, "code", code);
  add_text_field(&record, "message", message);
  send_frame(s, ERROR, record.at, record.length);
  end_program(s);
  finish(s);
}

// ---- Starting a program

struct person {
  unsigned uid, gid;
  char home[200], shell[100];
  gid_t groups[64];
  int group_count;
};

// Reads /etc/passwd and /etc/group themselves: a static program has no name services.
static bool find_person(const char *name, struct person *person) {
  char *text = read_file("/etc/passwd");
  bool found = false;
  for (char *rest = text, *line; rest && !found && (line = strsep(&rest, "\n"));) {
    char *user = strsep(&line, ":");
    if (!line || strcmp(user, name) != 0) continue;
    char home[200] = "", shell[100] = "";
    found = sscanf(line, "%*[^:]:%u:%u:%*[^:]:%199[^:]:%99[^:\n]", &person->uid, &person->gid, home, shell) >= 3 ||
            sscanf(line, "%*[^:]:%u:%u::%199[^:]:%99[^:\n]", &person->uid, &person->gid, home, shell) >= 3;
    strcpy(person->home, home);
    strcpy(person->shell, *shell ? shell : "/bin/sh");
  }
  free(text);
  if (!found) return false;
  person->groups[person->group_count++] = person->gid;
  text = read_file("/etc/group");
  for (char *rest = text, *line; rest && (line = strsep(&rest, "\n"));) {
    strsep(&line, ":");
    if (line) strsep(&line, ":");
    char *gid = line ? strsep(&line, ":") : NULL;
    for (char *member; line && gid && (member = strsep(&line, ","));)
      if (strcmp(member, name) == 0 && person->group_count < (int)LENGTH(person->groups))
        person->groups[person->group_count++] = (gid_t)atoi(gid);
  }
  free(text);
  return true;
}

static void set_variable(const char *name, const char *format, ...) {
  char value[600];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(value, sizeof value, format, arguments);
  va_end(arguments);
  setenv(name, value, 1);
}

static void set_environment(const struct person *person, const char *user, bool terminal, struct bytes request) {
  clearenv();
  set_variable("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  set_variable("HOME", "%s", person->home);
  set_variable("USER", "%s", user);
  set_variable("LOGNAME", "%s", user);
  set_variable("SHELL", "%s", person->shell);
  set_variable("LANG", "C.UTF-8");
  if (person->uid != 0) {
    set_variable("XDG_RUNTIME_DIR", "/run/user/%u", person->uid);
    set_variable("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/%u/bus", person->uid);
  }
  if (terminal) set_variable("TERM", "xterm-256color");
  for (char **variable = identity.environment; variable && *variable; variable++) putenv(*variable);
  size_t position = 0;
  struct bytes pair;
  while (next_field(request, "env", &position, &pair)) {
    char *variable = strndup((const char *)pair.at, pair.length);
    if (strchr(variable, '=') > variable) putenv(variable);
  }
}

static char **arguments_of(struct bytes request) {
  size_t position = 0, count = 0;
  struct bytes value;
  while (next_field(request, "argv", &position, &value)) count++;
  char **arguments = calloc(count + 1, sizeof *arguments);
  position = count = 0;
  while (next_field(request, "argv", &position, &value))
    arguments[count++] = strndup((const char *)value.at, value.length);
  return arguments;
}

// In the child: becomes the user and the program. On failure says why through `report`.
static _Noreturn void become(struct bytes request, int report, bool terminal) {
  char *user = text_field(request, "user"), *directory = text_field(request, "cwd");
  char **arguments = arguments_of(request);
  struct person person = {0};
  const char *step = "start";
  errno = EINVAL;
  if (!arguments[0]) {
    step = "start: no program was given";
  } else if (!user || !find_person(user, &person)) {
    step = "become: there is no such user";
  } else {
    join_exec_cgroup();
    write_text("/proc/self/oom_score_adj", "0");
    struct rlimit files = {1024, 1048576};
    setrlimit(RLIMIT_NOFILE, &files);
    umask(022);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    set_environment(&person, user, terminal, request);
    if (setgroups((size_t)person.group_count, person.groups) != 0 || setgid(person.gid) != 0 || setuid(person.uid) != 0)
      step = "become the user";
    else if (directory ? chdir(directory) != 0 : chdir(person.home) != 0 && chdir("/") != 0)
      step = "enter the directory";
    else {
      execvp(arguments[0], arguments);
      step = arguments[0];
    }
  }
  char why[600];
  int length = snprintf(why, sizeof why, "cannot %s%s: %s", step == arguments[0] ? "run " : "", step, strerror(errno));
  ssize_t ignored = write(report, why, (size_t)(length < (int)sizeof why ? length : (int)sizeof why - 1));
  (void)ignored;
  _exit(127);
}

static void set_size(int terminal, const unsigned char *size) {
  struct winsize window = {.ws_row = size[0] << 8 | size[1], .ws_col = size[2] << 8 | size[3]};
  ioctl(terminal, TIOCSWINSZ, &window);
}

static void start(struct session *s, struct bytes request) {
  size_t position = 0;
  struct bytes size;
  s->terminal = next_field(request, "pty", &position, &size);
  if (s->terminal && size.length != 4) fail(s, "bad_request", "pty must have 4 bytes");
  int in[2] = {-1, -1}, out[2] = {-1, -1}, error[2] = {-1, -1}, report[2], master = -1, slave = -1;
  bool ready = pipe2(report, O_CLOEXEC) == 0;
  if (s->terminal)
    ready = ready && openpty(&master, &slave, NULL, NULL, NULL) == 0;
  else
    ready = ready && pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(error, O_CLOEXEC) == 0;
  if (!ready) fail(s, "cannot_start", strerror(errno));
  if (s->terminal) {
    set_size(master, size.at);
    char *user = text_field(request, "user");
    struct person person = {0};
    if (user && find_person(user, &person) && fchown(slave, person.uid, (gid_t)-1) != 0) fail(s, "cannot_start", "terminal");
    free(user);
  }
  pid_t child = fork();
  if (child == 0) {
    setsid();
    if (s->terminal) ioctl(slave, TIOCSCTTY, 0);
    int files[3] = {s->terminal ? slave : in[0], s->terminal ? slave : out[1], s->terminal ? slave : error[1]};
    for (int i = 0; i < 3; i++) dup2(files[i], i);
    close_range(3, (unsigned)report[1] - 1, 0);
    close_range((unsigned)report[1] + 1, ~0U, 0);
    become(request, report[1], s->terminal);
  }
  if (child < 0) fail(s, "cannot_start", strerror(errno));
  close(report[1]);
  char why[600];
  ssize_t length = read(report[0], why, sizeof why - 1);
  close(report[0]);
  s->child = child;
  s->child_fd = (int)syscall(SYS_pidfd_open, child, 0);
  if (length > 0) {
    why[length] = 0;
    fail(s, "cannot_start", why);
  }
  if (s->terminal) {
    close(slave);
    s->to = dup(master);
    s->from = master;
  } else {
    close(in[0]);
    close(out[1]);
    close(error[1]);
    s->to = in[1];
    s->from = out[0];
    s->from_error = error[0];
  }
  int files[3] = {s->to, s->from, s->from_error};
  for (int i = 0; i < 3; i++)
    if (files[i] >= 0) fcntl(files[i], F_SETFL, O_NONBLOCK);
  unsigned char pid[4] = {child >> 24, child >> 16, child >> 8, child};
  send_frame(s, STARTED, pid, sizeof pid);
}

// ---- Frames from the client

static bool is_token(struct bytes given) {
  const char *token = identity.exec_token;
  if (!token || identity.state != RENEWED || strlen(token) != given.length) return false;
  unsigned char differs = 0; // Looks at every byte, whatever the first ones are.
  for (size_t i = 0; i < given.length; i++) differs |= given.at[i] ^ (unsigned char)token[i];
  return differs == 0;
}

static void signal_program(struct session *s, int number) {
  if (number < 1 || number > 64) return;
  pid_t foreground = s->terminal ? tcgetpgrp(s->from) : -1;
  kill(foreground > 0 ? -foreground : -s->child, number);
}

static void take_frame(struct session *s, int kind, struct bytes payload) {
  if (!s->authorized) {
    if (kind != AUTH || !is_token(payload)) fail(s, "unauthorized", "wrong token, or the box has no identity yet");
    s->authorized = true;
    return;
  }
  if (!s->child) {
    if (kind != START || !is_record(payload)) fail(s, "bad_request", "the first frame must be start");
    start(s, payload);
    return;
  }
  if (kind == STDIN && !s->input_ended) append(&s->input, payload.at, payload.length);
  else if (kind == STDIN_EOF) s->input_ended = true;
  else if (kind == SIGNAL && payload.length == 1) signal_program(s, payload.at[0]);
  else if (kind == RESIZE && payload.length == 4 && s->terminal) set_size(s->from, payload.at);
  else fail(s, "bad_request", "this frame makes no sense here");
}

static void take_frames(struct session *s) {
  size_t at = 0;
  while (s->in.length - at >= HEADER) {
    const unsigned char *head = s->in.at + at;
    size_t length = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (length > MAX_FRAME) fail(s, "bad_request", "frame is too long");
    if (s->in.length - at - HEADER < length) break;
    take_frame(s, head[4], (struct bytes){head + HEADER, length});
    at += HEADER + length;
  }
  drop_front(&s->in, at);
}

// False when the client is gone.
static bool read_client(struct session *s) {
  char chunk[CHUNK];
  ssize_t got = recv(s->socket, chunk, sizeof chunk, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return false;
  if (got > 0) {
    append(&s->in, chunk, (size_t)got);
    take_frames(s);
  }
  return true;
}

// ---- Bytes to and from the program

static void feed_program(struct session *s) {
  while (s->to >= 0 && s->input.length) {
    ssize_t wrote = write(s->to, s->input.at, s->input.length);
    if (wrote > 0) {
      drop_front(&s->input, (size_t)wrote);
    } else if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    } else { // It reads no more.
      close(s->to);
      s->to = -1;
    }
  }
  if (s->to < 0) s->input.length = 0;
  if (s->to >= 0 && s->input_ended && !s->terminal) {
    close(s->to);
    s->to = -1;
  }
}

// Reads once; closes at the end. True when there were bytes.
static bool read_program(struct session *s, int *from, int kind) {
  char chunk[CHUNK];
  ssize_t got = *from >= 0 ? read(*from, chunk, sizeof chunk) : 0;
  if (got > 0) send_frame(s, kind, chunk, (size_t)got);
  if (*from >= 0 && (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) && !s->terminal) {
    close(*from);
    *from = -1;
  }
  return got > 0;
}

// The program ended: what it wrote is in the pipes already, so what is there now is all. (What it left
// running may write on for ever.)
static _Noreturn void end_session(struct session *s) {
  for (size_t all = 0; all < LAST_WORDS && read_program(s, &s->from, STDOUT); all += CHUNK) {
  }
  for (size_t all = 0; all < LAST_WORDS && read_program(s, &s->from_error, STDERR); all += CHUNK) {
  }
  int status = 0;
  waitpid(s->child, &status, 0);
  unsigned char code = WIFSIGNALED(status) ? (unsigned char)(128 + WTERMSIG(status)) : (unsigned char)WEXITSTATUS(status);
  send_frame(s, EXIT, &code, 1);
  finish(s);
}

static _Noreturn void serve(int socket) {
  struct session session = {.socket = socket, .to = -1, .from = -1, .from_error = -1, .child_fd = -1};
  struct session *s = &session;
  long long begin_by = monotonic_ms() + BEGIN_PATIENCE_MS;
  for (;;) {
    if (told_to_end) fail(s, "ended", "the box got a new identity");
    if (!s->child && monotonic_ms() > begin_by) fail(s, "bad_request", "no start frame came");
    bool room_out = s->out.length < OUT_LIMIT, room_in = s->input.length < STDIN_LIMIT;
    struct pollfd files[5] = {
        {.fd = s->socket, .events = (room_in ? POLLIN : 0) | (s->out.length ? POLLOUT : 0) | POLLRDHUP},
        {.fd = s->child_fd, .events = POLLIN},
        {.fd = s->input.length ? s->to : -1, .events = POLLOUT},
        {.fd = room_out ? s->from : -1, .events = POLLIN},
        {.fd = room_out ? s->from_error : -1, .events = POLLIN},
    };
    if (poll(files, LENGTH(files), 1000) < 0) continue;
    bool gone = (files[0].revents & (POLLERR | POLLHUP)) != 0;
    if (files[0].revents & POLLIN) gone |= !read_client(s);
    else if (files[0].revents & POLLRDHUP) gone = true; // Gone while we were not reading.
    if (gone) {
      end_program(s);
      _exit(0);
    }
    feed_program(s);
    if (files[3].revents) {
      bool got = read_program(s, &s->from, STDOUT);
      // A terminal nobody holds any more stays readable; its program's end is what counts.
      if (!got && s->terminal && files[3].revents & POLLHUP) usleep(10000);
    }
    if (files[4].revents) read_program(s, &s->from_error, STDERR);
    if (files[1].revents) end_session(s);
    flush(s);
  }
}

static bool is_from_gateway(int connection) {
  struct sockaddr_in peer;
  socklen_t length = sizeof peer;
  return getpeername(connection, (struct sockaddr *)&peer, &length) == 0 && peer.sin_family == AF_INET &&
         peer.sin_addr.s_addr == inet_addr("10.0.2.2");
}

void accept_exec(int listener) {
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return;
  size_t place = 0;
  while (place < MAX_CONNECTIONS && connections[place]) place++;
  if (is_from_gateway(connection) && place < MAX_CONNECTIONS) {
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
  close(connection);
}
