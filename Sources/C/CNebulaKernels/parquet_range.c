#include "nebula_parquet.h"
#include <math.h>
#include <string.h>

#define RANGE(NAME, TYPE)                                                                                               \
  void NAME(const uint8_t *values, size_t count, TYPE *least, TYPE *most) {                                             \
    TYPE low, high, value;                                                                                              \
    memcpy(&low, values, sizeof low);                                                                                   \
    high = low;                                                                                                         \
    for (size_t i = 1; i < count; i++) {                                                                                \
      memcpy(&value, values + i * sizeof value, sizeof value);                                                          \
      low = value < low ? value : low;                                                                                  \
      high = value > high ? value : high;                                                                               \
    }                                                                                                                   \
    *least = low;                                                                                                       \
    *most = high;                                                                                                       \
  }
RANGE(nebula_range_i32, int32_t)
RANGE(nebula_range_i64, int64_t)

bool nebula_range_double(const uint8_t *values, size_t count, double *least, double *most) {
  double low = INFINITY, high = -INFINITY, value;
  bool is_number = true;
  for (size_t i = 0; i < count; i++) {
    memcpy(&value, values + i * sizeof value, sizeof value);
    is_number &= value == value;
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
  if (!is_number) return false;
  *least = low;
  *most = high;
  return true;
}

/// The first eight bytes as a number that sorts as they do: mostly it decides.
static inline uint64_t prefix(const uint8_t *p, size_t count, uint8_t flip) {
  uint64_t number = 0;
  if (count >= 8) {
    memcpy(&number, p, 8);
    number = __builtin_bswap64(number);
  } else {
    for (size_t i = 0; i < count; i++) number |= (uint64_t)p[i] << (56 - 8 * i);
  }
  return number ^ (uint64_t)flip << 56;
}

static inline int order(const uint8_t *a, size_t a_count, const uint8_t *b, size_t b_count, uint8_t flip) {
  if (flip && a[0] != b[0]) return (a[0] ^ flip) < (b[0] ^ flip) ? -1 : 1;
  int first = memcmp(a, b, a_count < b_count ? a_count : b_count);
  return first ? first : a_count < b_count ? -1 : a_count > b_count;
}

void nebula_range_bytes(const uint8_t *values, size_t count, uint32_t width, bool is_signed, size_t *least,
                        size_t *most) {
  uint8_t flip = is_signed ? 0x80 : 0;
  const uint8_t *p = values, *low = 0, *high = 0;
  size_t low_count = 0, high_count = 0;
  uint64_t low_prefix = 0, high_prefix = 0;
  for (size_t i = 0; i < count; i++) {
    size_t length = width;
    if (!width) {
      uint32_t written;
      memcpy(&written, p, 4);
      length = written;
      p += 4;
    }
    uint64_t own = prefix(p, length, flip);
    if (!low || (own <= low_prefix && (own < low_prefix || order(p, length, low, low_count, flip) < 0)))
      low = p, low_count = length, low_prefix = own;
    if (!high || (own >= high_prefix && (own > high_prefix || order(p, length, high, high_count, flip) > 0)))
      high = p, high_count = length, high_prefix = own;
    p += length;
  }
  size_t head = width ? 0 : 4;
  *least = (size_t)(low - values) - head;
  *most = (size_t)(high - values) - head;
}
