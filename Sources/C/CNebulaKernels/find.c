#include "simd.h"

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

#ifdef NEBULA_X86

/// Walks 16 bytes at a time with `MASK` (bits of the bytes looked for in `v`); the last block overlaps the one before.
#define WALK(MASK)                                                                                                      \
  if (count < 16) {                                                                                                     \
    __m128i v = nebula_load_tail(bytes, count);                                                                         \
    uint32_t mask = (uint32_t)_mm_movemask_epi8(MASK) | (uint32_t)1 << count;                                           \
    return (size_t)__builtin_ctz(mask);                                                                                 \
  }                                                                                                                     \
  for (size_t i = 0;; i += 16) {                                                                                        \
    if (i + 16 > count) {                                                                                               \
      if (i == count) return count;                                                                                     \
      i = count - 16;                                                                                                   \
    }                                                                                                                   \
    __m128i v = _mm_loadu_si128((const __m128i *)(bytes + i));                                                          \
    uint32_t mask = (uint32_t)_mm_movemask_epi8(MASK);                                                                  \
    if (mask) return i + (size_t)__builtin_ctz(mask);                                                                   \
  }
#define EQUAL(byte) _mm_cmpeq_epi8(v, _mm_set1_epi8((char)(byte)))

size_t nebula_find_either(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b) {
  WALK(_mm_or_si128(EQUAL(a), EQUAL(b)))
}
size_t nebula_find_any4(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  WALK(_mm_or_si128(_mm_or_si128(EQUAL(a), EQUAL(b)), _mm_or_si128(EQUAL(c), EQUAL(d))))
}
size_t nebula_json_plain_prefix(const uint8_t *bytes, size_t count) {
  WALK(_mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1F)), v), _mm_or_si128(EQUAL('"'), EQUAL('\\'))))
}

#else

size_t nebula_find_either(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b) {
  return nebula_find_either_scalar(bytes, count, a, b);
}
size_t nebula_find_any4(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return nebula_find_any4_scalar(bytes, count, a, b, c, d);
}
size_t nebula_json_plain_prefix(const uint8_t *bytes, size_t count) {
  return nebula_json_plain_prefix_scalar(bytes, count);
}

#endif
