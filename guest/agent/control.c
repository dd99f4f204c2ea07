// The control channel: one line per request and answer, `SESSION SEQ WORD HEX-OF-RECORD`. A newline ends
// whatever was left unfinished before it, and a hello begins a session: nothing stale is obeyed.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "agent.h"

enum { MAX_LINE = 1024 * 1024, WRITE_PATIENCE_MS = 2000 };

static char session[65];
static struct buffer held;
static bool skipping; // In a line that is over MAX_LINE.

static int try_port(void) {
  DIR *directory = opendir("/sys/class/virtio-ports");
  if (!directory) return -1;
  struct dirent *entry;
  int port = -1;
  while (port < 0 && (entry = readdir(directory))) {
    char path[300];
    snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
    char *name = read_file(path);
    if (name && strcmp(name, "berth.control\n") == 0) {
      snprintf(path, sizeof path, "/dev/%s", entry->d_name);
      port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    }
    free(name);
  }
  closedir(directory);
  return port;
}

int open_control_port(void) {
  for (int tries = 0;; tries++) {
    int port = try_port();
    if (port >= 0) return port;
    if (tries == 100) say("no virtio-serial port berth.control yet; waiting on");
    usleep(100000);
  }
}

static void send_line(int port, const char *to, const char *sequence, const char *word, struct buffer record) {
  static const char digits[] = "0123456789abcdef";
  struct buffer line = {0};
  append_text(&line, to);
  append_text(&line, " ");
  append_text(&line, sequence);
  append_text(&line, " ");
  append_text(&line, word);
  append_text(&line, record.length ? " " : " -");
  for (size_t i = 0; i < record.length; i++) {
    char pair[2] = {digits[record.at[i] >> 4], digits[record.at[i] & 15]};
    append(&line, pair, 2);
  }
  append_text(&line, "\n");
  size_t sent = 0;
  long long end = monotonic_ms() + WRITE_PATIENCE_MS;
  while (sent < line.length) {
    ssize_t wrote = write(port, line.at + sent, line.length - sent);
    if (wrote > 0) {
      sent += (size_t)wrote;
    } else if (wrote < 0 && (errno == EAGAIN || errno == EINTR) && monotonic_ms() < end) {
      struct pollfd wait = {.fd = port, .events = POLLOUT};
      poll(&wait, 1, 100);
    } else {
      break; // The host went away; it will ask again.
    }
  }
  free(line.at);
}

static void add_status(struct buffer *answer) {
  static const char *const names[] = {"unrenewed", "renewed", "sealed"};
  static char *boot; // Stays for as long as this kernel runs, restored or not.
  if (!boot) boot = read_file("/proc/sys/kernel/random/boot_id");
  char epoch[32];
  snprintf(epoch, sizeof epoch, "%lld", identity.epoch);
  add_field(answer, "bootId", boot ? boot : "", boot ? strcspn(boot, "\n") : 0);
  add_text_field(answer, "epoch", epoch);
  add_text_field(answer, "state", names[identity.state]);
  add_text_field(answer, "trouble", disk_trouble);
}

static const char *seal(void) {
  if (identity.state == UNRENEWED) return "nothing to seal: no renewal since boot";
  identity.state = SEALED; // No token opens the exec server now; the box that goes on gets its own again.
  return freeze_tenant() ? NULL : "some processes did not freeze";
}

static void power_off(void) {
  if (identity.state == RENEWED) {
    run_program((char *[]){"systemctl", "poweroff", "--no-block", NULL});
    return;
  }
  sync(); // Nothing of the tenant's runs, and none may, not even to end.
  reboot(RB_POWER_OFF);
}

// Does what is asked; NULL, or why not.
static const char *perform(const char *verb, struct bytes request, struct buffer *answer) {
  if (strcmp(verb, "hello") == 0 || strcmp(verb, "ping") == 0) {
    add_status(answer);
    return NULL;
  }
  if (strcmp(verb, "renew") == 0) {
    const char *refusal = renew(request, answer);
    if (!refusal) add_status(answer);
    return refusal;
  }
  if (strcmp(verb, "seal") == 0) return seal();
  if (strcmp(verb, "keys") == 0) return set_keys(request);
  if (strcmp(verb, "ports") == 0) {
    list_ports(answer);
    return NULL;
  }
  if (strcmp(verb, "settle") == 0) {
    settle_memory();
    return NULL;
  }
  if (strcmp(verb, "freeze") == 0) {
    long long hold_ms = number_field(request, "holdMs");
    if (hold_ms <= 0 || hold_ms > 600000) return "holdMs must be 1 to 600000";
    return freeze_file_systems(hold_ms) ? NULL : "a file system cannot be frozen";
  }
  if (strcmp(verb, "thaw") == 0) {
    add_text_field(answer, "held", thaw_file_systems() ? "yes" : "no");
    return NULL;
  }
  if (strcmp(verb, "sync") == 0) {
    sync();
    return NULL;
  }
  if (strcmp(verb, "grow") == 0) {
    grow_file_systems();
    return *disk_trouble ? disk_trouble : NULL;
  }
  if (strcmp(verb, "shutdown") == 0) return NULL; // After the answer.
  return "no such request";
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Decodes in place; the number of bytes, or -1.
static ssize_t decode_hex(char *text) {
  if (strcmp(text, "-") == 0) return 0;
  size_t length = strlen(text);
  if (length % 2) return -1;
  for (size_t i = 0; i < length / 2; i++) {
    int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return -1;
    text[i] = (char)(high << 4 | low);
  }
  return (ssize_t)(length / 2);
}

static void obey(int port, char *line) {
  char *rest = line;
  char *from = strsep(&rest, " "), *sequence = strsep(&rest, " "), *verb = strsep(&rest, " "), *hex = rest;
  if (!sequence || !verb || !hex || strlen(from) >= sizeof session || strlen(sequence) > 20) return;
  ssize_t length = decode_hex(hex);
  struct bytes request = {(unsigned char *)hex, (size_t)length};
  if (length < 0 || !is_record(request)) return;
  if (strcmp(verb, "hello") == 0) strcpy(session, from);
  if (strcmp(session, from) != 0) return;
  struct buffer answer = {0};
  const char *refusal = perform(verb, request, &answer);
  if (refusal) {
    answer.length = 0;
    add_text_field(&answer, "message", refusal);
  }
  send_line(port, from, sequence, refusal ? "error" : "ok", answer);
  free(answer.at);
  // From here on the tenant's code runs, as the new box. It took the CPU from the answer when it ran before.
  if (strcmp(verb, "renew") == 0 && !refusal) thaw_tenant();
  if (strcmp(verb, "shutdown") == 0) power_off();
}

static void take_lines(int port) {
  for (;;) {
    unsigned char *newline = held.length ? memchr(held.at, '\n', held.length) : NULL;
    if (!newline) break;
    size_t length = (size_t)(newline - held.at);
    char *line = malloc(length + 1);
    if (!line) abort();
    memcpy(line, held.at, length);
    line[length] = 0;
    drop_front(&held, length + 1);
    if (!skipping && !memchr(line, 0, length)) obey(port, line);
    skipping = false;
    explicit_bzero(line, length); // It may have had keys in it.
    free(line);
  }
  if (held.length > MAX_LINE) {
    held.length = 0;
    skipping = true;
  }
}

void serve_control_port(int port) {
  char chunk[16384];
  for (;;) {
    ssize_t got = read(port, chunk, sizeof chunk);
    if (got <= 0) return; // 0: no host is connected.
    append(&held, chunk, (size_t)got);
    take_lines(port);
  }
}
