#include "nebula_kernels.h"

size_t nebula_find_either_scalar(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b) {
  size_t i = 0;
  while (i < count && bytes[i] != a && bytes[i] != b) i++;
  return i;
}

size_t nebula_find_any4_scalar(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  size_t i = 0;
  while (i < count && bytes[i] != a && bytes[i] != b && bytes[i] != c && bytes[i] != d) i++;
  return i;
}

size_t nebula_json_plain_prefix_scalar(const uint8_t *bytes, size_t count) {
  size_t i = 0;
  while (i < count && bytes[i] >= 0x20 && bytes[i] != '"' && bytes[i] != '\\') i++;
  return i;
}

size_t nebula_find_either(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b) {
  return nebula_find_either_scalar(bytes, count, a, b);
}
size_t nebula_find_any4(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return nebula_find_any4_scalar(bytes, count, a, b, c, d);
}
size_t nebula_json_plain_prefix(const uint8_t *bytes, size_t count) {
  return nebula_json_plain_prefix_scalar(bytes, count);
}
