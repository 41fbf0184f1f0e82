#pragma once
#include "nebula_kernels.h"

#if defined(__x86_64__)
#define NEBULA_X86 1
#include <immintrin.h>

/// Sixteen bytes of which the first `count` are those at `from`; the others may be anything. Most texts are short, so
/// this is the usual case: where the sixteen lie in one page they are read as they stand, also behind the text's end,
/// since a page can be read as a whole or not at all. Of no bytes nothing is read: the page may be nobody's.
__attribute__((no_sanitize("address"))) static inline __m128i nebula_load_tail(const uint8_t *from, size_t count) {
  if (count == 0) return _mm_setzero_si128();
  if (((uintptr_t)from & 4095) <= 4096 - 16) return _mm_loadu_si128((const __m128i *)from);
  uint8_t block[16] = {0};
  memcpy(block, from, count);
  return _mm_loadu_si128((const __m128i *)block);
}

/// Bits of the bytes that a JSON string can't hold as they are (quote, backslash, below 0x20); `high`: those from 0x80.
static inline uint32_t nebula_special_in(__m128i v, uint32_t *high) {
  __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1F)), v);
  __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"')), slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
  *high = (uint32_t)_mm_movemask_epi8(v);
  return (uint32_t)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, slash)));
}
static inline uint32_t nebula_special16(const uint8_t *p, uint32_t *high) {
  return nebula_special_in(_mm_loadu_si128((const __m128i *)p), high);
}
__attribute__((target("avx2"))) static inline uint32_t nebula_special32(const uint8_t *p, uint32_t *high) {
  __m256i v = _mm256_loadu_si256((const __m256i *)p);
  __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1F)), v);
  __m256i quote = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('"')), slash = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\'));
  *high = (uint32_t)_mm256_movemask_epi8(v);
  return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(low, _mm256_or_si256(quote, slash)));
}
#endif
