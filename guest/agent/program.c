// Programs that the exec server starts: who they run as, what they find, how they are signalled and ended.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec.h"

enum { KILL_PATIENCE_MS = 2000, PIPE_SIZE = 256 * 1024, TIMED_OUT = 124 };

// Reads /etc/passwd and /etc/group themselves: a static program has no name services.
bool find_person(const char *name, struct person *person) {
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

bool become_person(const struct person *person) {
  return setgroups((size_t)person->group_count, person->groups) == 0 && setgid(person->gid) == 0 && setuid(person->uid) == 0;
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
  char runtime[40];
  snprintf(runtime, sizeof runtime, "/run/user/%u", person->uid);
  if (person->uid != 0 && access(runtime, F_OK) == 0) {
    set_variable("XDG_RUNTIME_DIR", "%s", runtime);
    set_variable("DBUS_SESSION_BUS_ADDRESS", "unix:path=%s/bus", runtime);
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
  if (!arguments) abort();
  position = count = 0;
  while (next_field(request, "argv", &position, &value))
    arguments[count++] = strndup((const char *)value.at, value.length);
  return arguments;
}

static void run_arguments(char **arguments, const struct person *person) {
  if (arguments[0]) {
    execvp(arguments[0], arguments);
    return;
  }
  // A login shell, by the sign that shells know: a dash before its name.
  char name[110];
  const char *slash = strrchr(person->shell, '/');
  snprintf(name, sizeof name, "-%s", slash ? slash + 1 : person->shell);
  execl(person->shell, name, NULL);
}

// In the child: becomes the user and the program. On failure says why through `report`.
static _Noreturn void become(struct bytes request, int report, bool terminal) {
  char *user = text_field(request, "user"), *directory = text_field(request, "cwd");
  char **arguments = arguments_of(request);
  struct person person = {0};
  const char *step = "start";
  errno = EINVAL;
  if (!arguments[0] && !terminal) {
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
    if (!become_person(&person)) {
      step = "become the user";
    } else if (directory ? chdir(directory) != 0 : chdir(person.home) != 0 && chdir("/") != 0) {
      step = "enter the directory";
    } else {
      run_arguments(arguments, &person);
      step = NULL;
    }
  }
  char why[600];
  const char *what = step ? step : arguments[0] ? arguments[0] : person.shell;
  int length = snprintf(why, sizeof why, "cannot %s%s: %s", step ? "" : "run ", what, strerror(errno));
  ssize_t ignored = write(report, why, (size_t)(length < (int)sizeof why ? length : (int)sizeof why - 1));
  (void)ignored;
  _exit(127);
}

void resize_program(struct program *program, const unsigned char size[4]) {
  if (!program->terminal || program->from < 0) return;
  memcpy(program->size, size, sizeof program->size);
  struct winsize window = {.ws_row = size[0] << 8 | size[1], .ws_col = size[2] << 8 | size[3]};
  ioctl(program->from, TIOCSWINSZ, &window);
}

// The program's ends of its three files, and ours.
static bool open_files(struct program *program, struct bytes request, int theirs[3]) {
  if (!program->terminal) {
    int in[2], out[2], error[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0) return false;
    // Fewer and larger reads; a refusal costs only that.
    fcntl(out[0], F_SETPIPE_SZ, PIPE_SIZE);
    fcntl(in[0], F_SETPIPE_SZ, PIPE_SIZE);
    memcpy(theirs, (int[]){in[0], out[1], error[1]}, 3 * sizeof *theirs);
    program->to = in[1];
    program->from = out[0];
    program->from_error = error[0];
    return true;
  }
  int master, slave;
  if (openpty(&master, &slave, NULL, NULL, NULL) != 0) return false;
  memcpy(theirs, (int[]){slave, slave, slave}, 3 * sizeof *theirs);
  program->from = master;
  program->to = fcntl(master, F_DUPFD_CLOEXEC, 0);
  program->from_error = -1;
  char *user = text_field(request, "user");
  struct person person = {0};
  bool owned = !user || !find_person(user, &person) || fchown(slave, person.uid, (gid_t)-1) == 0;
  free(user);
  return owned;
}

const char *start_program(struct program *program, struct bytes request) {
  static char why[600];
  *program = (struct program){.to = -1, .from = -1, .from_error = -1, .ended = -1, .kill_at = -1};
  size_t position = 0;
  struct bytes size;
  program->terminal = next_field(request, "pty", &position, &size);
  if (program->terminal && size.length != 4) return "pty must have 4 bytes";
  int theirs[3], report[2];
  if (pipe2(report, O_CLOEXEC) != 0 || !open_files(program, request, theirs)) return strerror(errno);
  if (program->terminal) resize_program(program, size.at);
  pid_t child = fork();
  if (child == 0) {
    setsid();
    if (program->terminal) ioctl(theirs[0], TIOCSCTTY, 0);
    for (int i = 0; i < 3; i++) dup2(theirs[i], i);
    close_range(3, (unsigned)report[1] - 1, 0);
    close_range((unsigned)report[1] + 1, ~0U, 0);
    become(request, report[1], program->terminal);
  }
  if (child < 0) return strerror(errno);
  close(report[1]);
  for (int i = 0; i < (program->terminal ? 1 : 3); i++) close(theirs[i]);
  ssize_t length = read(report[0], why, sizeof why - 1);
  close(report[0]);
  program->pid = child;
  program->ended = (int)syscall(SYS_pidfd_open, child, 0);
  if (length > 0) {
    why[length] = 0;
    return why;
  }
  int ours[3] = {program->to, program->from, program->from_error};
  for (int i = 0; i < 3; i++)
    if (ours[i] >= 0) fcntl(ours[i], F_SETFL, O_NONBLOCK);
  long long timeout_ms = number_field(request, "timeoutMs");
  if (timeout_ms > 0) program->kill_at = monotonic_ms() + timeout_ms;
  return NULL;
}

void signal_program(struct program *program, int number) {
  if (number < 1 || number > 64 || program->pid <= 0) return;
  pid_t foreground = program->terminal ? tcgetpgrp(program->from) : -1;
  kill(foreground > 0 ? -foreground : -program->pid, number);
}

void watch_timeout(struct program *program) {
  if (program->kill_at < 0 || program->pid <= 0 || monotonic_ms() < program->kill_at) return;
  int number = program->timed_out ? SIGKILL : SIGTERM;
  signal_program(program, number);
  kill(-program->pid, number);
  if (number == SIGTERM) kill(-program->pid, SIGCONT); // What is stopped would not hear it.
  program->kill_at = program->timed_out ? -1 : monotonic_ms() + KILL_PATIENCE_MS;
  program->timed_out = true;
}

int exit_code_of(struct program *program) {
  int status = 0;
  waitpid(program->pid, &status, 0);
  program->pid = 0;
  program->kill_at = -1;
  if (program->timed_out) return TIMED_OUT;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void end_program(struct program *program) {
  if (program->terminal && program->from >= 0) { // Hangs up the terminal's jobs.
    close(program->from);
    if (program->to >= 0) close(program->to);
    program->from = program->to = -1;
  }
  if (program->pid <= 0) return;
  kill(-program->pid, SIGHUP);
  kill(-program->pid, SIGCONT);
  struct pollfd wait = {.fd = program->ended, .events = POLLIN};
  poll(&wait, 1, KILL_PATIENCE_MS);
  kill(-program->pid, SIGKILL);
  waitpid(program->pid, NULL, 0);
  program->pid = 0;
}
