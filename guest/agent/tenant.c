// Holds still and lets go on all that is the tenant's: every cgroup but the agent's own and systemd's.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define CGROUPS "/sys/fs/cgroup"
// Beside systemd's slices, not below the agent's unit: a unit whose cgroup has children with controllers
// cannot be started again by systemd 252 after the agent was killed.
#define EXEC_CGROUP CGROUPS "/berth-exec"
enum { FREEZE_PATIENCE_MS = 5000 };

void prepare_cgroups(void) {
  mkdir(EXEC_CGROUP, 0755);
  // A fork bomb must leave pids for the agent.
  write_text(EXEC_CGROUP "/pids.max", "8192");
}

void join_exec_cgroup(void) {
  write_text(EXEC_CGROUP "/cgroup.procs", "0");
}

static void each_tenant_cgroup(void (*act)(const char *path, void *with), void *with) {
  char path[500];
  DIR *directory = opendir(CGROUPS);
  struct dirent *entry;
  while (directory && (entry = readdir(directory))) {
    bool ours = strcmp(entry->d_name, "berth.slice") == 0 || strcmp(entry->d_name, "init.scope") == 0;
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || ours) continue;
    snprintf(path, sizeof path, CGROUPS "/%s", entry->d_name);
    act(path, with);
  }
  if (directory) closedir(directory);
}

static void set_frozen(const char *path, void *with) {
  char name[520];
  snprintf(name, sizeof name, "%s/cgroup.freeze", path);
  write_text(name, with);
}

static void count_running(const char *path, void *with) {
  char name[520];
  snprintf(name, sizeof name, "%s/cgroup.events", path);
  char *events = read_file(name);
  if (events && strstr(events, "populated 1") && !strstr(events, "frozen 1")) ++*(int *)with;
  free(events);
}

bool freeze_tenant(void) {
  each_tenant_cgroup(set_frozen, "1");
  long long end = monotonic_ms() + FREEZE_PATIENCE_MS;
  for (;;) {
    int running = 0;
    each_tenant_cgroup(count_running, &running);
    if (running == 0) return true;
    if (monotonic_ms() > end) return false;
    usleep(1000);
  }
}

void thaw_tenant(void) { each_tenant_cgroup(set_frozen, "0"); }
