// Starts the guest's side and waits: for the host's requests, exec connections, and children that ended.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent.h"

// A wake-up that was lost costs at most this.
enum { IDLE_MS = 1000 };

static void watch(int epoll, int file, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = file};
  if (file >= 0) epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event);
}

int main(void) {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, NULL);
  signal(SIGPIPE, SIG_IGN);
  prepare_cgroups();
  mount_home();

  int port = open_control_port();
  int listener = open_exec_listener();
  int ended = signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  // Edge-triggered: without a host on its other end the port is readable (0 bytes) all the time.
  watch(epoll, port, EPOLLIN | EPOLLET);
  watch(epoll, listener, EPOLLIN);
  watch(epoll, ended, EPOLLIN);
  mlockall(MCL_CURRENT); // Answers must not wait for a disk, even a frozen one.
  say("waiting for an identity");

  for (;;) {
    long long left_ms = freeze_left_ms();
    if (left_ms == 0) thaw_file_systems();
    struct epoll_event event;
    int wait_ms = left_ms > 0 && left_ms < IDLE_MS ? (int)left_ms : IDLE_MS;
    int got = epoll_wait(epoll, &event, 1, wait_ms);
    if (got == 1 && event.data.fd == listener) {
      accept_exec(listener);
    } else if (got == 1 && event.data.fd == ended) {
      struct signalfd_siginfo information;
      while (read(ended, &information, sizeof information) > 0) {
      }
      reap_exec();
    } else {
      serve_control_port(port);
    }
  }
}
