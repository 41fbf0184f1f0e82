#include "utf8.h"

size_t nebula_utf8_valid_prefix_scalar(const uint8_t *bytes, size_t count) {
  const uint8_t *p = bytes, *end = bytes + count;
  while (p < end) {
    size_t length = nebula_utf8_sequence(p, end);
    if (!length) break;
    p += length;
  }
  return (size_t)(p - bytes);
}

size_t nebula_utf8_valid_prefix(const uint8_t *bytes, size_t count) {
  const uint8_t *p = bytes, *end = bytes + count;
  while (p < end) {
    // Eight bytes at once as long as they are ASCII.
    uint64_t word;
    while (end - p >= 8 && (memcpy(&word, p, 8), (word & 0x8080808080808080u) == 0)) p += 8;
    if (p == end) break;
    size_t length = nebula_utf8_sequence(p, end);
    if (!length) break;
    p += length;
  }
  return (size_t)(p - bytes);
}
