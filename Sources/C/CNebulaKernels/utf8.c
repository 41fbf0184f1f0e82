#include "nebula_kernels.h"

/// The length of the well-formed sequence at `p` (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF), else 0.
static size_t sequence(const uint8_t *p, const uint8_t *end) {
  uint8_t a = p[0];
  if (a < 0x80) return 1;
  size_t left = (size_t)(end - p);
  if (a < 0xC2 || a > 0xF4) return 0;
  if (left < 2) return 0;
  uint8_t b = p[1];
  if (a < 0xE0) return (b & 0xC0) == 0x80 ? 2 : 0;
  uint8_t low = a == 0xE0 ? 0xA0 : a == 0xF0 ? 0x90 : 0x80, high = a == 0xED ? 0x9F : a == 0xF4 ? 0x8F : 0xBF;
  if (b < low || b > high) return 0;
  if (left < 3 || (p[2] & 0xC0) != 0x80) return 0;
  if (a < 0xF0) return 3;
  return left >= 4 && (p[3] & 0xC0) == 0x80 ? 4 : 0;
}

size_t nebula_utf8_valid_prefix_scalar(const uint8_t *bytes, size_t count) {
  const uint8_t *p = bytes, *end = bytes + count;
  while (p < end) {
    size_t length = sequence(p, end);
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
    size_t length = sequence(p, end);
    if (!length) break;
    p += length;
  }
  return (size_t)(p - bytes);
}
