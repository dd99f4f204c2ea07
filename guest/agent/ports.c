// What listens in the box: TCP ports, and the programs that hold them.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

enum { MAX_PORTS = 256, EXEC_PORT = 1, NAME_ROOM = 33 };

struct port {
  unsigned number;
  bool loopback;
  unsigned long inode; // Of its socket.
  char program[NAME_ROOM];
};

// Looking through every process costs: who holds a socket is remembered, and looked for only when it is new.
static struct port known[MAX_PORTS];
static size_t known_count;

static bool is_loopback(const char *address) {
  size_t length = strlen(address);
  if (length == 8) return strcmp(address + 6, "7F") == 0; // 127.x.y.z, least significant byte first.
  if (strcmp(address, "00000000000000000000000001000000") == 0) return true;
  return strncmp(address, "0000000000000000FFFF0000", 24) == 0 && length == 32 && strcmp(address + 30, "7F") == 0;
}

static void add_port(struct port *ports, size_t *count, struct port found) {
  for (size_t i = 0; i < *count; i++) {
    if (ports[i].number != found.number) continue;
    ports[i].loopback &= found.loopback; // Listens on several addresses.
    return;
  }
  if (*count < MAX_PORTS) ports[(*count)++] = found;
}

static void read_table(const char *path, struct port *ports, size_t *count) {
  enum { LISTENING_STATE = 0x0A };
  char *text = read_file(path);
  for (char *rest = text, *line; rest && (line = strsep(&rest, "\n"));) {
    struct port found = {0};
    char address[33];
    unsigned state;
    int read = sscanf(line, " %*d: %32[0-9A-F]:%x %*s %x %*s %*s %*s %*u %*d %lu", address, &found.number, &state, &found.inode);
    if (read != 4 || state != LISTENING_STATE || found.number == EXEC_PORT || !found.inode) continue;
    found.loopback = is_loopback(address);
    add_port(ports, count, found);
  }
  free(text);
}

static struct port *find_inode(struct port *ports, size_t count, unsigned long inode) {
  for (size_t i = 0; i < count; i++)
    if (ports[i].inode == inode) return &ports[i];
  return NULL;
}

// Names the ports whose sockets this process holds.
static void name_ports_of(const char *pid, struct port *ports, size_t count) {
  char path[64], link[340], target[64];
  snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
  DIR *files = opendir(path);
  for (struct dirent *entry; files && (entry = readdir(files));) {
    snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length <= 0) continue;
    target[length] = 0;
    unsigned long inode;
    if (sscanf(target, "socket:[%lu]", &inode) != 1) continue;
    struct port *port = find_inode(ports, count, inode);
    if (!port || *port->program) continue;
    snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
    char *name = read_file(path);
    snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    snprintf(port->program, sizeof port->program, "%s", name ? name : "");
    port->program[strcspn(port->program, "\n")] = 0;
    free(name);
  }
  if (files) closedir(files);
}

void list_ports(struct buffer *answer) {
  static struct port ports[MAX_PORTS];
  size_t count = 0;
  bool complete = true;
  read_table("/proc/net/tcp", ports, &count);
  read_table("/proc/net/tcp6", ports, &count);
  for (size_t i = 0; i < count; i++) {
    struct port *before = find_inode(known, known_count, ports[i].inode);
    *ports[i].program = 0;
    if (before) memcpy(ports[i].program, before->program, NAME_ROOM);
    complete &= before != NULL;
  }
  DIR *processes = complete ? NULL : opendir("/proc");
  for (struct dirent *entry; processes && (entry = readdir(processes));)
    if (isdigit((unsigned char)entry->d_name[0])) name_ports_of(entry->d_name, ports, count);
  if (processes) closedir(processes);
  memcpy(known, ports, sizeof known);
  known_count = count;
  for (size_t i = 0; i < count; i++) {
    char line[80];
    for (char *c = ports[i].program; *c; c++)
      if (!isprint((unsigned char)*c)) *c = '?';
    snprintf(line, sizeof line, "%u %s %s", ports[i].number, ports[i].loopback ? "loopback" : "any", ports[i].program);
    add_text_field(answer, "port", line);
  }
}
