#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* libmongoc begins by itself, in a constructor that runs before ours: it makes /dev/shm/mongoc-<pid> for counters that
   nobody reads here, and removes it at exit. A process that is killed would leave it behind, and the next one with its
   pid would warn on standard error before anything can take the driver's log, where --json promises JSON. So the name
   goes at once; the memory stays. (MONGOC_DISABLE_SHM can't be set early enough from inside the process.) */
__attribute__((constructor)) static void forget_shared_counters(void) {
  char name[32];
  snprintf(name, sizeof name, "/mongoc-%d", (int)getpid());
  shm_unlink(name);
}
