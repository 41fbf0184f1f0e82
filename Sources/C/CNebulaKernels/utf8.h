#pragma once
#include "nebula_kernels.h"

/// The length of the well-formed sequence at `p` (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF), else 0.
static inline size_t nebula_utf8_sequence(const uint8_t *p, const uint8_t *end) {
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
