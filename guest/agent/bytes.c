// Records, buffers, and the few things one does with files and programs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

void append(struct buffer *buffer, const void *bytes, size_t length) {
  if (length == 0) return;
  if (buffer->room - buffer->length < length) {
    size_t room = (buffer->length + length) * 2 + 256;
    unsigned char *grown = realloc(buffer->at, room);
    if (!grown) abort();
    buffer->at = grown;
    buffer->room = room;
  }
  memcpy(buffer->at + buffer->length, bytes, length);
  buffer->length += length;
}

void append_text(struct buffer *buffer, const char *text) { append(buffer, text, strlen(text)); }

void drop_front(struct buffer *buffer, size_t length) {
  if (length == 0) return;
  memmove(buffer->at, buffer->at + length, buffer->length - length);
  buffer->length -= length;
}

void add_field(struct buffer *record, const char *name, const void *value, size_t length) {
  unsigned char name_length = (unsigned char)strlen(name);
  unsigned char size[4] = {length >> 24, length >> 16, length >> 8, length};
  append(record, &name_length, 1);
  append(record, name, name_length);
  append(record, size, 4);
  append(record, value, length);
}

void add_text_field(struct buffer *record, const char *name, const char *value) {
  add_field(record, name, value, strlen(value));
}

// One field at *position; moves it on. False when the rest is no field.
static bool read_field(struct bytes record, size_t *position, struct bytes *name, struct bytes *value) {
  size_t at = *position, left = record.length - at;
  if (left < 1) return false;
  size_t name_length = record.at[at];
  if (name_length == 0 || left < 1 + name_length + 4) return false;
  const unsigned char *size = record.at + at + 1 + name_length;
  size_t length = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
  if (left - 1 - name_length - 4 < length) return false;
  *name = (struct bytes){record.at + at + 1, name_length};
  *value = (struct bytes){size + 4, length};
  *position = at + 1 + name_length + 4 + length;
  return true;
}

bool next_field(struct bytes record, const char *name, size_t *position, struct bytes *value) {
  struct bytes found;
  while (*position < record.length && read_field(record, position, &found, value))
    if (!name || (found.length == strlen(name) && memcmp(found.at, name, found.length) == 0)) return true;
  return false;
}

bool is_record(struct bytes record) {
  size_t position = 0;
  struct bytes name, value;
  while (position < record.length)
    if (!read_field(record, &position, &name, &value)) return false;
  return true;
}

char *text_field(struct bytes record, const char *name) {
  size_t position = 0;
  struct bytes value;
  if (!next_field(record, name, &position, &value)) return NULL;
  if (memchr(value.at, 0, value.length)) return NULL;
  return strndup((const char *)value.at, value.length);
}

long long number_field(struct bytes record, const char *name) {
  char *text = text_field(record, name);
  long long number = text ? strtoll(text, NULL, 10) : 0;
  free(text);
  return number;
}

char *read_file(const char *path) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  struct buffer content = {0};
  char chunk[4096];
  ssize_t got;
  while ((got = read(file, chunk, sizeof chunk)) > 0) append(&content, chunk, (size_t)got);
  close(file);
  append(&content, "", 1);
  return (char *)content.at;
}

// On a full disk a new file cannot be made, but the old one's block is there: the files of an identity are
// smaller than one.
static bool overwrite_file(const char *path, const void *content, size_t length) {
  int file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return false;
  bool written = pwrite(file, content, length, 0) == (ssize_t)length && ftruncate(file, (off_t)length) == 0;
  close(file);
  return written;
}

bool replace_file(const char *path, const void *content, size_t length, mode_t mode, bool *failed) {
  char *old = read_file(path);
  bool same = old && strlen(old) == length && memcmp(old, content, length) == 0;
  free(old);
  if (same) return false;
  char draft[512];
  snprintf(draft, sizeof draft, "%s.berth-new", path);
  int file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  bool written = file >= 0 && fchmod(file, mode) == 0 && write(file, content, length) == (ssize_t)length;
  if (file >= 0) close(file);
  written = written && rename(draft, path) == 0;
  if (!written) {
    unlink(draft);
    written = overwrite_file(path, content, length);
  }
  if (!written) {
    say("cannot write %s: %s", path, strerror(errno));
    *failed = true;
  }
  return true;
}

void write_text(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  ssize_t ignored = write(file, text, strlen(text));
  (void)ignored;
  close(file);
}

int run_program(char *const argv[]) {
  pid_t child = fork();
  if (child == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    execvp(argv[0], argv);
    _exit(127);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

long long monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// To the kernel's log, and so to the console that the host keeps.
void say(const char *format, ...) {
  char line[512] = "<4>berth: ";
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line + 10, sizeof line - 11, format, arguments) + 10;
  va_end(arguments);
  if (length > (int)sizeof line - 2) length = sizeof line - 2;
  line[length] = '\n';
  int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
  if (log < 0) return;
  ssize_t ignored = write(log, line, (size_t)length + 1);
  (void)ignored;
  close(log);
}
