#include "nebula_parquet.h"
#include <string.h>

static uint8_t *varint(uint8_t *out, uint64_t number) {
  for (; number >= 0x80; number >>= 7) *out++ = (uint8_t)(number | 0x80);
  *out++ = (uint8_t)number;
  return out;
}

static uint8_t *run(uint8_t *out, uint32_t value, size_t count, uint32_t width) {
  out = varint(out, (uint64_t)count << 1);
  for (uint32_t bits = 0; bits < width; bits += 8) *out++ = (uint8_t)(value >> bits);
  return out;
}

/// So many equal values are a run of their own: fewer take less room as packed bits.
static size_t shortest_run(uint32_t width) { return width == 1 ? 32 : width == 2 ? 16 : 8; }

// Packed bits come in groups of eight values, of which only the page's last may be filled up with zeros.
#define HYBRID(NAME, TYPE)                                                                                              \
  static uint8_t *NAME##_packed(uint8_t *out, const TYPE *values, size_t count, uint32_t width) {                       \
    size_t groups = (count + 7) / 8;                                                                                    \
    out = varint(out, (uint64_t)groups << 1 | 1);                                                                       \
    uint8_t *end = out + groups * width;                                                                                \
    uint64_t bits = 0;                                                                                                  \
    uint32_t filled = 0;                                                                                                \
    for (size_t i = 0; i < count; i++) {                                                                                \
      bits |= (uint64_t)values[i] << filled;                                                                            \
      filled += width;                                                                                                  \
      if (filled >= 32) {                                                                                               \
        uint32_t word = (uint32_t)bits;                                                                                 \
        memcpy(out, &word, 4);                                                                                          \
        out += 4;                                                                                                       \
        bits >>= 32;                                                                                                    \
        filled -= 32;                                                                                                   \
      }                                                                                                                 \
    }                                                                                                                   \
    for (; out < end; bits >>= 8) *out++ = (uint8_t)bits;                                                               \
    return end;                                                                                                         \
  }                                                                                                                     \
  size_t NAME(uint8_t *out, const TYPE *values, size_t count, uint32_t width) {                                         \
    uint8_t *at = out;                                                                                                  \
    size_t packed = 0, i = 0, least = shortest_run(width);                                                              \
    while (i < count) {                                                                                                 \
      size_t same = i + 1;                                                                                              \
      while (same < count && values[same] == values[i]) same++;                                                         \
      /* What is before a run must be whole groups: they take from the run what they lack. */                           \
      size_t lacking = (8 - (i - packed) % 8) % 8;                                                                      \
      if (same - i < least + lacking) {                                                                                 \
        i = same;                                                                                                       \
        continue;                                                                                                       \
      }                                                                                                                 \
      i += lacking;                                                                                                     \
      if (i > packed) at = NAME##_packed(at, values + packed, i - packed, width);                                       \
      at = run(at, values[i], same - i, width);                                                                         \
      packed = i = same;                                                                                                \
    }                                                                                                                   \
    if (count > packed) at = NAME##_packed(at, values + packed, count - packed, width);                                 \
    return (size_t)(at - out);                                                                                          \
  }

HYBRID(nebula_hybrid_levels, uint8_t)
HYBRID(nebula_hybrid_indices, uint32_t)

void nebula_pack_booleans_scalar(uint8_t *out, const uint8_t *values, size_t count) {
  memset(out, 0, (count + 7) / 8);
  for (size_t i = 0; i < count; i++) out[i / 8] |= (uint8_t)((values[i] & 1) << (i % 8));
}

void nebula_pack_booleans(uint8_t *out, const uint8_t *values, size_t count) {
  for (; count >= 8; count -= 8, values += 8) {
    uint64_t eight;
    memcpy(&eight, values, 8);
    // Byte i, which is 0 or 1, goes to bit 56 + i; no two products meet.
    *out++ = (uint8_t)(eight * 0x0102040810204080u >> 56);
  }
  if (count) nebula_pack_booleans_scalar(out, values, count);
}
