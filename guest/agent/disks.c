// The box's file systems: the home volume, growing to the disk's size, freezing, and settling.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

#define ROOT_DISK "/dev/vda"
#define HOME "/home/dev"
enum { HOME_LEAST_BYTES = 8 * 1024 * 1024, DEV_ID = 1000 };

const char *disk_trouble = "";
static const char *home_disk; // NULL when the box has no home volume.
static bool home_mounted;
static long long freeze_ends_ms = -1;

// What a disk holds, by its first bytes.
struct disk {
  long long bytes, ext4_bytes; // ext4_bytes: 0 when there is no ext4 on it
  bool blank, has_errors;
};

static uint32_t le32(const unsigned char *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool look_at(const char *path, struct disk *disk) {
  static unsigned char head[65536];
  *disk = (struct disk){0};
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  uint64_t bytes = 0;
  ioctl(file, BLKGETSIZE64, &bytes);
  ssize_t got = pread(file, head, sizeof head, 0);
  close(file);
  disk->bytes = (long long)bytes;
  if (got < 2048) return false;
  disk->blank = true;
  for (ssize_t i = 0; i < got; i++)
    if (head[i]) disk->blank = false;
  const unsigned char *super = head + 1024;
  if (super[56] == 0x53 && super[57] == 0xef) {
    uint64_t blocks = le32(super + 4);
    if (le32(super + 96) & 0x80) blocks |= (uint64_t)le32(super + 0x150) << 32; // INCOMPAT_64BIT
    disk->ext4_bytes = (long long)(blocks << (10 + le32(super + 24)));
    disk->has_errors = (super[58] & 2) != 0;
  }
  return true;
}

static const char *find_home_disk(void) {
  static char path[32];
  for (char letter = 'b'; letter <= 'h'; letter++) {
    char name[64];
    snprintf(name, sizeof name, "/sys/block/vd%c/serial", letter);
    char *serial = read_file(name);
    bool found = serial && strncmp(serial, "home", 4) == 0;
    free(serial);
    if (found) {
      snprintf(path, sizeof path, "/dev/vd%c", letter);
      return path;
    }
  }
  return access("/dev/vdb", F_OK) == 0 ? "/dev/vdb" : NULL;
}

// A new volume begins as a new user's home.
static void fill_home(void) {
  run_program((char *[]){"cp", "-rT", "/etc/skel", HOME, NULL});
  run_program((char *[]){"chown", "-R", "1000:1000", HOME, NULL});
  chmod(HOME, 0755);
  rmdir(HOME "/lost+found");
}

static bool is_mount_point(const char *path) {
  struct stat itself, root;
  return stat(path, &itself) == 0 && stat("/", &root) == 0 && itself.st_dev != root.st_dev;
}

void mount_home(void) {
  struct disk disk;
  home_mounted = is_mount_point(HOME); // It is when the agent was started again.
  if (!home_disk) home_disk = find_home_disk();
  if (!home_disk || home_mounted) return;
  if (!look_at(home_disk, &disk)) {
    disk_trouble = "the home volume cannot be read";
    return;
  }
  if (disk.bytes < HOME_LEAST_BYTES) return; // A placeholder that the host will make larger.
  bool is_new = !disk.ext4_bytes && disk.blank;
  if (!disk.ext4_bytes && !disk.blank) {
    disk_trouble = "the home volume has no ext4 file system and is not blank; it is left alone";
    say("%s", disk_trouble);
    return;
  }
  if (is_new)
    run_program((char *[]){"mkfs.ext4", "-q", "-m", "0", "-L", "home", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
                           (char *)home_disk, NULL});
  if (disk.has_errors) run_program((char *[]){"e2fsck", "-p", (char *)home_disk, NULL});
  if (mount(home_disk, HOME, "ext4", MS_NOATIME, "noinit_itable") != 0) {
    disk_trouble = "the home volume cannot be mounted";
    say("%s: %s", disk_trouble, strerror(errno));
    return;
  }
  home_mounted = true;
  disk_trouble = "";
  if (is_new) fill_home();
}

static void grow(const char *path) {
  struct disk disk;
  // Less than a block group more is not worth a resize, nor always possible.
  if (!look_at(path, &disk) || !disk.ext4_bytes || disk.bytes - disk.ext4_bytes < 32 * 1024 * 1024) return;
  if (run_program((char *[]){"resize2fs", (char *)path, NULL}) != 0) disk_trouble = "a file system could not grow to its disk";
}

void grow_file_systems(void) {
  mount_home();
  grow(ROOT_DISK);
  if (home_mounted) grow(home_disk);
}

static bool on_each_mount(unsigned long request, void *argument) {
  bool done = true;
  static const char *const mounts[] = {HOME, "/"};
  for (size_t i = home_mounted ? 0 : 1; i < LENGTH(mounts); i++) {
    int directory = open(mounts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || ioctl(directory, request, argument) != 0) done = false;
    if (directory >= 0) close(directory);
  }
  return done;
}

void settle_memory(void) {
  sync();
  write_text("/proc/sys/vm/drop_caches", "3");
  struct fstrim_range everything = {.len = UINT64_MAX};
  on_each_mount(FITRIM, &everything); // Not every disk can; that is no failure.
  write_text("/proc/sys/vm/compact_memory", "1");
}

bool freeze_file_systems(long long hold_ms) {
  if (freeze_left_ms() > 0) { // Asked again: hold on for longer.
    freeze_ends_ms = monotonic_ms() + hold_ms;
    return true;
  }
  sync();
  if (!on_each_mount(FIFREEZE, NULL)) {
    on_each_mount(FITHAW, NULL);
    return false;
  }
  freeze_ends_ms = monotonic_ms() + hold_ms;
  return true;
}

bool thaw_file_systems(void) {
  bool held = freeze_ends_ms >= 0 && freeze_left_ms() > 0;
  freeze_ends_ms = -1;
  on_each_mount(FITHAW, NULL);
  return held;
}

long long freeze_left_ms(void) {
  if (freeze_ends_ms < 0) return -1;
  long long left = freeze_ends_ms - monotonic_ms();
  return left > 0 ? left : 0;
}
