// The exec server on this machine, for tests: the real code with what is a box's replaced. Arguments: a directory for
// its sockets, the token. Prints its port; obeys lines on its input: `renew TOKEN`, `ports`.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../agent/exec.h"

struct identity identity = {.state = RENEWED};
void join_exec_cgroup(void) {}

static int listen_on_loopback(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 256) != 0) exit(1);
  getsockname(listener, (struct sockaddr *)&address, &length);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

static void obey(char *line) {
  line[strcspn(line, "\n")] = 0;
  if (strncmp(line, "renew ", 6) == 0) {
    char *token = strdup(line + 6);
    if (strcmp(token, identity.exec_token) != 0) end_exec();
    identity.exec_token = token;
  }
  if (strcmp(line, "ports") == 0) {
    struct buffer answer = {0};
    list_ports(&answer);
    size_t position = 0;
    struct bytes port;
    while (next_field((struct bytes){answer.at, answer.length}, "port", &position, &port))
      printf("%.*s\n", (int)port.length, port.at);
    free(answer.at);
  }
  puts("done");
  fflush(stdout);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  exec_directory = arguments[1];
  identity.exec_token = arguments[2];
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1); // In a box that is systemd.
  int listener = listen_on_loopback();
  for (;;) {
    struct pollfd files[2] = {{.fd = listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    poll(files, 2, 200);
    if (files[1].revents) {
      char line[300];
      // The test is over, however it ended: so are the keepers, which are in this process group.
      if (!fgets(line, sizeof line, stdin)) return kill(0, SIGKILL);
      obey(line);
    }
    int connection = files[0].revents ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    if (connection >= 0) {
      serve_apart(connection);
      close(connection);
    }
    reap_exec();
  }
}
