/* Loaded into the program by LD_PRELOAD: while the file named by NEBULA_STALL exists, a write below NEBULA_STALL_BELOW
   does not return. That is what a disk looks like that takes nothing for a while. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_below(int file, const char *folder) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strncmp(path, folder, strlen(folder)) == 0;
}

ssize_t write(int file, const void *bytes, size_t count) {
  static ssize_t (*real)(int, const void *, size_t);
  if (!real) real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  const char *flag = getenv("NEBULA_STALL"), *folder = getenv("NEBULA_STALL_BELOW");
  while (flag && folder && access(flag, F_OK) == 0 && is_below(file, folder)) usleep(50000);
  return real(file, bytes, count);
}
