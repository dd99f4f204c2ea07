// Feeds the parsers of the guest's program bytes that are nearly right. Built with the address and undefined-behaviour
// sanitizers (src/images/agent.test.ts). What touches a machine is replaced; nothing here changes the host.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../agent/exec.h"

struct identity identity = {.state = RENEWED, .exec_token = "0123456789abcdef"};
const char *disk_trouble = "";

const char *renew(struct bytes request, struct buffer *answer) {
  size_t position = 0, sum = 0;
  struct bytes value;
  while (next_field(request, NULL, &position, &value))
    for (size_t i = 0; i < value.length; i++) sum += value.at[i];
  free(text_field(request, "epoch"));
  add_text_field(answer, "renewed", "entropy");
  return sum % 2 ? "refused" : NULL;
}
const char *set_keys(struct bytes request) { return is_record(request) ? NULL : "no record"; }
void list_ports(struct buffer *answer) { add_text_field(answer, "port", "1 any x"); }
bool freeze_tenant(void) { return true; }
void thaw_tenant(void) {}
void join_exec_cgroup(void) {}
void grow_file_systems(void) {}
void settle_memory(void) {}
bool freeze_file_systems(long long hold_ms) { return hold_ms > 0; }
bool thaw_file_systems(void) { return true; }

static size_t add_words(unsigned char *at, const char *const words[], size_t count, size_t room) {
  size_t length = 0;
  for (int parts = rand() % 14; parts > 0 && length + 400 < room; parts--) {
    if (rand() % 4) {
      const char *word = words[(size_t)rand() % count];
      memcpy(at + length, word, strlen(word));
      length += strlen(word);
    } else {
      for (int n = rand() % 300; n > 0; n--) at[length++] = (unsigned char)rand();
    }
  }
  return length;
}

static void fuzz_control(void) {
  static const char *const words[] = {
      "s ", "1 ", "hello ", "ping ", "renew ", "keys ", "ports ", "thaw ", "freeze ", "seal ", "-", "\n", "\n\n", " ", "ff", "05",
      "0161", "00000001", "0565706f636800000001", "06686f6c644d7300000002"};
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) abort();
  static unsigned char bytes[8192], answers[65536];
  size_t length = add_words(bytes, words, LENGTH(words), sizeof bytes);
  if (write(pair[0], bytes, length) != (ssize_t)length) abort();
  serve_control_port(pair[1]);
  while (read(pair[0], answers, sizeof answers) > 0) {
  }
  close(pair[0]);
  close(pair[1]);
}

// One connection as accept_exec would serve it; the program it names does not exist.
static void fuzz_exec(void) {
  unsigned char bytes[8192];
  size_t length = 0;
  for (int frames = 1 + rand() % 4; frames > 0; frames--) {
    struct buffer frame = {0}, record = {0};
    int kind = rand() % 5 ? rand() % 14 : rand() % 256;
    if (length == 0 && rand() % 8) {
      kind = AUTH;
      if (rand() % 4) {
        append_text(&record, identity.exec_token);
      } else {
        add_text_field(&record, "token", identity.exec_token);
        add_text_field(&record, "session", rand() % 4 ? "a" : "../a");
        if (rand() % 2) add_text_field(&record, "mode", rand() % 2 ? "write" : "read");
      }
    } else if (kind >= ATTACH && kind <= DIAL) {
      static const char *const names[] = {"session", "from", "mode", "writer", "tcp", "unix", "connection"};
      static const char *const values[] = {"a", "b", "../c", "7", "18446744073709551615", "write", "read", "127.0.0.1:0",
                                           "[::1]:0", "localhost:1", "127.0.0.1:99999", "/no/such/socket", "0-1", "a-b"};
      for (int fields = rand() % 4; fields > 0; fields--)
        add_text_field(&record, names[(size_t)rand() % LENGTH(names)], values[(size_t)rand() % LENGTH(values)]);
      if (rand() % 3 == 0 && record.length) record.at[(size_t)rand() % record.length] ^= (unsigned char)(1 << rand() % 8);
    } else if (kind == START || rand() % 3 == 0) {
      add_text_field(&record, "argv", "/no/such/program");
      add_text_field(&record, "user", rand() % 2 ? "nobody" : "no-such-user");
      add_field(&record, "pty", "\0\1\0\1", (size_t)(rand() % 5));
      add_text_field(&record, "env", rand() % 2 ? "A=b" : "=");
      if (rand() % 2) add_text_field(&record, "session", rand() % 2 ? "a" : "A");
      if (rand() % 3 == 0 && record.length) record.at[(size_t)rand() % record.length] ^= (unsigned char)(1 << rand() % 8);
    }
    unsigned char header[HEADER] = {0, 0, record.length >> 8, record.length, kind};
    append(&frame, header, HEADER);
    append(&frame, record.at, record.length);
    if (length + frame.length < sizeof bytes) {
      memcpy(bytes + length, frame.at, frame.length);
      length += frame.length;
    }
    free(frame.at);
    free(record.at);
  }
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) abort();
  pid_t server = fork();
  if (server == 0) {
    close(pair[0]);
    serve(pair[1]);
  }
  close(pair[1]);
  // The server may have ended already: then the rest has nowhere to go.
  if (send(pair[0], bytes, length, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET) abort();
  shutdown(pair[0], SHUT_WR);
  while (read(pair[0], bytes, sizeof bytes) > 0) {
  }
  close(pair[0]);
  int status = 0;
  waitpid(server, &status, 0);
  if (status != 0) {
    fprintf(stderr, "exec server ended with status %x\n", status);
    exit(1);
  }
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  char directory[] = "/tmp/berth-fuzz-XXXXXX"; // Where sessions are.
  if (!mkdtemp(directory)) return 1;
  exec_directory = directory;
  srand((unsigned)atoi(arguments[1]));
  for (int i = atoi(arguments[2]); i > 0; i--) fuzz_control();
  for (int i = atoi(arguments[3]); i > 0; i--) fuzz_exec();
  char remove[80];
  snprintf(remove, sizeof remove, "rm -r %s", directory);
  if (system(remove) != 0) return 1;
  puts("done");
}
