#include "simd.h"

void nebula_copy_short(uint8_t *out, const uint8_t *bytes, size_t count) {
#ifdef NEBULA_X86
  _mm_storeu_si128((__m128i *)out, nebula_load_tail(bytes, count));
#else
  memcpy(out, bytes, count);
#endif
}

size_t nebula_double_quotes_scalar(uint8_t *out, const uint8_t *bytes, size_t count, uint8_t quote) {
  uint8_t *at = out;
  for (size_t i = 0; i < count; i++) {
    *at++ = bytes[i];
    if (bytes[i] == quote) *at++ = quote;
  }
  return (size_t)(at - out);
}

size_t nebula_double_quotes(uint8_t *out, const uint8_t *bytes, size_t count, uint8_t quote) {
#ifdef NEBULA_X86
  const uint8_t *in = bytes, *end = bytes + count;
  uint8_t *at = out;
  while (in < end) {
    size_t left = (size_t)(end - in), block = left < 16 ? left : 16;
    __m128i v = left < 16 ? nebula_load_tail(in, left) : _mm_loadu_si128((const __m128i *)in);
    uint32_t mask = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)quote))) | (uint32_t)1 << block;
    _mm_storeu_si128((__m128i *)at, v);
    size_t plain = (size_t)__builtin_ctz(mask);
    in += plain;
    at += plain;
    if (plain == block) continue;
    *at++ = quote;
    *at++ = quote;
    in++;
  }
  return (size_t)(at - out);
#else
  return nebula_double_quotes_scalar(out, bytes, count, quote);
#endif
}
