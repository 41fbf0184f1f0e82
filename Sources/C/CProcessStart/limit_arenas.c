#include "CProcessStart.h"

#include <malloc.h>
#include <unistd.h>

void nebula_limit_arenas(void) {
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  mallopt(M_ARENA_MAX, cores > 3 ? (int)(cores / 2) : 1);
}
