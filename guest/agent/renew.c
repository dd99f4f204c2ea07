// Renewal: makes this machine the box it is told to be, before anything of the tenant's runs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define SSHD_PID_FILE "/run/sshd.pid"
enum { SSHD_PATIENCE_MS = 50000 };

struct identity identity = {.state = UNRENEWED};

static bool failed; // Some file of this renewal could not be written.

static void add_renewed(struct buffer *answer, const char *what) { add_text_field(answer, "renewed", what); }

static bool renew_entropy(struct bytes request) {
  size_t position = 0;
  struct bytes entropy;
  next_field(request, "entropy", &position, &entropy);
  struct rand_pool_info *pool = malloc(sizeof *pool + entropy.length);
  if (!pool) abort();
  pool->entropy_count = (int)(entropy.length * 8);
  pool->buf_size = (int)entropy.length;
  memcpy(pool->buf, entropy.at, entropy.length);
  int random = open("/dev/urandom", O_RDWR | O_CLOEXEC);
  // Adding alone would be used at the kernel's next reseed, which may be minutes away.
  bool done = random >= 0 && ioctl(random, RNDADDENTROPY, pool) == 0 && ioctl(random, RNDRESEEDCRNG) == 0;
  if (random >= 0) close(random);
  explicit_bzero(pool, sizeof *pool + entropy.length);
  free(pool);
  unlink("/var/lib/systemd/random-seed");
  return done;
}

static bool renew_clock(struct bytes request) {
  long long ms = number_field(request, "timeMs");
  struct timespec now = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  return clock_settime(CLOCK_REALTIME, &now) == 0;
}

static bool is_plain_name(const char *name) {
  size_t length = strlen(name);
  return length > 0 && length < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

// /etc/hosts with our line for the name, and the user's other lines as they are.
static void renew_hosts(const char *name) {
  char *old = read_file("/etc/hosts");
  struct buffer hosts = {0};
  bool placed = false;
  char line[160];
  snprintf(line, sizeof line, "127.0.1.1 %s.berth %s\n", name, name);
  for (char *at = old ? old : ""; *at;) {
    size_t length = strcspn(at, "\n");
    if (strncmp(at, "127.0.1.1", 9) == 0) {
      if (!placed) append_text(&hosts, line);
      placed = true;
    } else {
      append(&hosts, at, length);
      append_text(&hosts, "\n");
    }
    at += length + (at[length] == '\n');
  }
  if (!placed) append_text(&hosts, line);
  replace_file("/etc/hosts", hosts.at, hosts.length, 0644, &failed);
  free(hosts.at);
  free(old);
}

static void renew_host_name(struct bytes request, struct buffer *answer) {
  char *name = text_field(request, "hostName");
  char line[80];
  int length = snprintf(line, sizeof line, "%s\n", name);
  if (sethostname(name, strlen(name)) != 0) failed = true;
  if (replace_file("/etc/hostname", line, (size_t)length, 0644, &failed)) add_renewed(answer, "hostname");
  renew_hosts(name);
  free(name);
}

static void renew_machine_id(struct bytes request, struct buffer *answer) {
  char *id = text_field(request, "machineId");
  char line[34];
  int length = snprintf(line, sizeof line, "%s\n", id);
  umount2("/etc/machine-id", MNT_DETACH); // systemd's own transient one, when the file was empty.
  if (replace_file("/etc/machine-id", line, (size_t)length, 0444, &failed)) add_renewed(answer, "machine-id");
  free(id);
}

// Writes a field to a file, ended by a newline. True when it changed.
static bool renew_file(struct bytes request, const char *field, const char *path, mode_t mode) {
  size_t position = 0;
  struct bytes value;
  struct buffer content = {0};
  while (next_field(request, field, &position, &value)) {
    append(&content, value.at, value.length);
    if (value.length && value.at[value.length - 1] != '\n') append_text(&content, "\n");
  }
  bool changed = replace_file(path, content.at, content.length, mode, &failed);
  if (content.at) explicit_bzero(content.at, content.length);
  free(content.at);
  return changed;
}

static bool authorize_keys(struct bytes request) {
  mkdir("/run/berth/ssh/keys", 0755);
  return renew_file(request, "sshAuthorizedKey", "/run/berth/ssh/keys/dev", 0644);
}

const char *set_keys(struct bytes request) {
  if (identity.state != RENEWED) return "the box has no identity yet";
  failed = false;
  authorize_keys(request);
  return failed ? "the keys could not be written; see the console" : NULL;
}

// It is the box that it was: renewed to go on, in the same epoch.
static bool same_token(struct bytes request) {
  char *token = text_field(request, "execToken");
  bool same = token && identity.exec_token && strcmp(identity.exec_token, token) == 0;
  free(token);
  return same;
}

static void renew_ssh(struct bytes request, struct buffer *answer) {
  // Keys are in memory only: no disk, and no snapshot of disks, ever has them.
  mkdir("/run/berth/ssh", 0755);
  mkdir("/run/berth/ssh/principals", 0755);
  bool key = renew_file(request, "sshHostKey", "/run/berth/ssh/host_key", 0600);
  key |= renew_file(request, "sshHostPublicKey", "/run/berth/ssh/host_key.pub", 0644);
  key |= renew_file(request, "sshHostCertificate", "/run/berth/ssh/host_key-cert.pub", 0644);
  bool access = renew_file(request, "sshUserCa", "/run/berth/ssh/user_ca.pub", 0644);
  access |= renew_file(request, "sshPrincipal", "/run/berth/ssh/principals/dev", 0644);
  // Keys are of one epoch: without new ones nobody's old ones are left in another box.
  size_t position = 0;
  struct bytes key_line;
  if (next_field(request, "sshAuthorizedKey", &position, &key_line) || !same_token(request))
    access |= authorize_keys(request);
  if (key) add_renewed(answer, "ssh-host-key");
  if (access) add_renewed(answer, "ssh-access");
}

static bool is_variable(struct bytes pair) {
  const unsigned char *equals = memchr(pair.at, '=', pair.length);
  if (!equals || equals == pair.at || memchr(pair.at, 0, pair.length)) return false;
  for (const unsigned char *c = pair.at; c < equals; c++) {
    bool letter = (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') || *c == '_';
    if (!letter && !(c > pair.at && *c >= '0' && *c <= '9')) return false;
  }
  return true;
}

static void append_quoted(struct buffer *to, const char *value, char quote, const char *escape_these, const char *escape) {
  append(to, &quote, 1);
  for (; *value; value++) {
    if (strchr(escape_these, *value)) append_text(to, escape);
    append(to, value, 1);
  }
  append(to, &quote, 1);
}

// The environment, for login shells (by profile.d), for everything under sshd (SetEnv), and for exec.
static bool renew_environment(struct bytes request, struct buffer *answer) {
  struct buffer profile = {0}, sshd = {0};
  size_t position = 0, count = 0;
  struct bytes pair;
  while (next_field(request, "env", &position, &pair)) count++;
  char **environment = calloc(count + 1, sizeof *environment);
  if (!environment) abort();
  append_text(&profile, "# Written by Berth at each renewal: the environment of the template and the box.\n");
  append_text(&sshd, "SetEnv XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus");
  position = count = 0;
  while (next_field(request, "env", &position, &pair)) {
    if (!is_variable(pair)) continue;
    char *variable = strndup((const char *)pair.at, pair.length);
    char *value = strchr(variable, '=') + 1;
    append_text(&profile, "export ");
    append(&profile, variable, (size_t)(value - variable));
    // 'it'\''s': a quote inside is written outside of them.
    append_text(&profile, "'");
    for (char *c = value; *c; c++) {
      if (*c == '\'') append_text(&profile, "'\\''");
      else append(&profile, c, 1);
    }
    append_text(&profile, "'\n");
    if (!strpbrk(value, "\n\r")) { // sshd's configuration has no way to write those.
      append_text(&sshd, " ");
      append_quoted(&sshd, variable, '"', "\"\\", "\\");
    }
    environment[count++] = variable;
  }
  append_text(&sshd, "\n");
  for (char **old = identity.environment; old && *old; old++) free(*old);
  free(identity.environment);
  identity.environment = environment;
  if (replace_file("/run/berth/environment.sh", profile.at, profile.length, 0644, &failed)) add_renewed(answer, "env");
  bool changed = replace_file("/run/berth/ssh/env.conf", sshd.at, sshd.length, 0600, &failed);
  free(profile.at);
  free(sshd.at);
  return changed;
}

// sshd's process, when it listens.
static pid_t running_sshd(void) {
  char *text = read_file(SSHD_PID_FILE);
  pid_t pid = text ? atoi(text) : 0;
  free(text);
  if (pid <= 1) return 0;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/comm", pid);
  char *name = read_file(path);
  bool is_sshd = name && strcmp(name, "sshd\n") == 0;
  free(name);
  return is_sshd ? pid : 0;
}

// sshd writes its pid file once it listens, so a file that came back means: with the new configuration.
static void reload_sshd(void) {
  pid_t pid = running_sshd();
  if (!pid) return;
  unlink(SSHD_PID_FILE);
  kill(pid, SIGHUP);
}

static bool wait_for_sshd(void) {
  long long end = monotonic_ms() + SSHD_PATIENCE_MS;
  while (!running_sshd()) {
    if (monotonic_ms() > end) return false;
    usleep(10000);
  }
  return true;
}

static bool is_epoch(const char *text) { return strtoll(text, NULL, 10) > 0; }
static bool is_token(const char *text) { return strlen(text) >= 16; }
static bool is_time(const char *text) { return strtoll(text, NULL, 10) > 0; }
static bool is_machine_id(const char *text) { return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32; }
static bool is_something(const char *text) { return *text != 0; }

// Why a request is no whole renewal; NULL when it is. Nothing is changed before this is known.
static const char *what_lacks(struct bytes request) {
  static const struct {
    const char *field, *refusal;
    bool (*is_good)(const char *text);
  } needs[] = {
      {"epoch", "epoch must be positive", is_epoch},
      {"execToken", "execToken must have 16 characters or more", is_token},
      {"timeMs", "timeMs must be positive", is_time},
      {"hostName", "hostName must be 1 to 63 of a-z 0-9 -", is_plain_name},
      {"machineId", "machineId must be 32 hexadecimal characters", is_machine_id},
      {"sshHostKey", "sshHostKey is missing", is_something},
      {"sshHostPublicKey", "sshHostPublicKey is missing", is_something},
      {"sshHostCertificate", "sshHostCertificate is missing", is_something},
      {"sshUserCa", "sshUserCa is missing", is_something},
      {"sshPrincipal", "sshPrincipal is missing", is_something},
  };
  for (size_t i = 0; i < LENGTH(needs); i++) {
    char *text = text_field(request, needs[i].field);
    bool good = text && needs[i].is_good(text);
    free(text);
    if (!good) return needs[i].refusal;
  }
  size_t position = 0;
  struct bytes entropy;
  if (!next_field(request, "entropy", &position, &entropy) || entropy.length < 32 || entropy.length > 512)
    return "entropy must have 32 to 512 bytes";
  return NULL;
}

const char *renew(struct bytes request, struct buffer *answer) {
  static bool opened; // default.target was started: by this boot's first renewal.
  const char *lacks = what_lacks(request);
  if (lacks) return lacks;
  failed = false;
  mkdir("/run/berth", 0755);
  if (!renew_entropy(request)) return "entropy was not taken";
  add_renewed(answer, "entropy");
  if (!renew_clock(request)) return "clock was not taken";
  add_renewed(answer, "clock");
  renew_host_name(request, answer);
  renew_machine_id(request, answer);
  // sshd runs itself anew for each connection and reads keys, certificate and principals then (tried with
  // 9.2: a replaced key is served at once); only its parsed configuration needs a reload, of about a second.
  renew_ssh(request, answer);
  bool configuration_changed = renew_environment(request, answer);
  if (failed) return "a file of the identity could not be written; see the console";
  if (!same_token(request)) end_exec();
  char *token = text_field(request, "execToken");
  free(identity.exec_token);
  identity.exec_token = token;
  identity.epoch = number_field(request, "epoch");
  identity.state = RENEWED;
  add_renewed(answer, "exec-token");
  grow_file_systems();

  // A box that goes on with what it had is answered for at once: sshd stands still and has nothing to read anew.
  bool as_it_was = opened && !configuration_changed && running_sshd();
  if (!as_it_was) thaw_tenant();
  if (configuration_changed) reload_sshd();
  if (!opened) run_program((char *[]){"systemctl", "start", "--no-block", "default.target", NULL});
  opened = true;
  add_text_field(answer, "sshd", as_it_was || wait_for_sshd() ? "ready" : "not listening");
  return NULL;
}
