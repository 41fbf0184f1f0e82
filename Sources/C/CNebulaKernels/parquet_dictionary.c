#include "nebula_parquet.h"
#include <string.h>

/// So many slots are looked at for one value; more is no accident but a text made for it.
enum { MOST_STEPS = 64 };

static inline uint64_t mix(uint64_t a, uint64_t b) {
  __uint128_t product = (__uint128_t)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}
static const uint64_t K0 = 0x9E3779B97F4A7C15u, K1 = 0xD6E8FEB86659FD93u, K2 = 0xA0761D6478BD642Fu;

static inline uint64_t hash(const uint8_t *p, size_t count) {
  uint64_t state = count * K2, a, b;
  for (; count > 16; count -= 16, p += 16) {
    memcpy(&a, p, 8);
    memcpy(&b, p + 8, 8);
    state = mix(a ^ K0 ^ state, b ^ K1);
  }
  a = b = 0;
  if (count >= 8) {
    memcpy(&a, p, 8);
    memcpy(&b, p + count - 8, 8);
  } else if (count >= 4) {
    uint32_t low, high;
    memcpy(&low, p, 4);
    memcpy(&high, p + count - 4, 4);
    a = (uint64_t)high << 32 | low;
  } else if (count) {
    a = (uint64_t)p[0] << 16 | (uint64_t)p[count / 2] << 8 | p[count - 1];
  }
  return mix(a ^ K0 ^ state, b ^ K1);
}

/// Inlined for each width, so that the lengths of the copies and comparisons are known.
static inline __attribute__((always_inline)) size_t add(nebula_dictionary *d, const uint8_t *values, size_t count,
                                                        uint32_t width, size_t limit, uint32_t *indices, size_t *bytes) {
  const uint8_t *p = values;
  size_t i = 0;
  for (; i < count; i++) {
    size_t head = 0, length = width;
    if (!width) {
      uint32_t written;
      memcpy(&written, p, 4);
      head = 4;
      length = written;
    }
    uint64_t h = hash(p + head, length) & ~(uint64_t)0xFFFFFFFF, at = h >> 32;
    uint32_t steps = 0, index = 0;
    for (;; at++) {
      uint64_t slot = d->slots[at & d->mask];
      if (!slot) break;
      if ((slot ^ h) >> 32 == 0) {
        const uint8_t *entry = d->entries + d->offsets[(uint32_t)slot - 1];
        // A text's length is compared along with it.
        if ((width || memcmp(entry, p, 4) == 0) && memcmp(entry + head, p + head, length) == 0) {
          index = (uint32_t)slot;
          break;
        }
      }
      if (++steps > MOST_STEPS) goto done;
    }
    if (!index) {
      if (d->used + head + length > limit) goto done;
      memcpy(d->entries + d->used, p, head + length);
      d->offsets[d->count] = (uint32_t)d->used;
      d->used += head + length;
      index = ++d->count;
      d->slots[at & d->mask] = h | index;
    }
    indices[i] = index - 1;
    p += head + length;
  }
done:
  *bytes = (size_t)(p - values);
  return i;
}

size_t nebula_dictionary_add(nebula_dictionary *d, const uint8_t *values, size_t count, uint32_t width, size_t limit,
                             uint32_t *indices, size_t *bytes) {
  switch (width) {
  case 0: return add(d, values, count, 0, limit, indices, bytes);
  case 4: return add(d, values, count, 4, limit, indices, bytes);
  case 8: return add(d, values, count, 8, limit, indices, bytes);
  case 16: return add(d, values, count, 16, limit, indices, bytes);
  default: return add(d, values, count, width, limit, indices, bytes);
  }
}

void nebula_dictionary_move(nebula_dictionary *d, uint64_t *slots, uint64_t mask) {
  for (uint64_t i = 0; d->slots && i <= d->mask; i++) {
    uint64_t slot = d->slots[i];
    if (!slot) continue;
    uint64_t at = slot >> 32;
    while (slots[at & mask]) at++;
    slots[at & mask] = slot;
  }
  d->slots = slots;
  d->mask = mask;
}
