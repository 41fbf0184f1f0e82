#include "nebula_kernels.h"

size_t nebula_find_newlines_scalar(const uint8_t *bytes, size_t count, uint32_t *offsets, size_t capacity) {
  size_t found = 0;
  for (size_t i = 0; i < count && found < capacity; i++)
    if (bytes[i] == '\n') offsets[found++] = (uint32_t)i;
  return found;
}
