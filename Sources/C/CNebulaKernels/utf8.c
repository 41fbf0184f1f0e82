#include "utf8.h"
#include "simd.h"

size_t nebula_utf8_valid_prefix_scalar(const uint8_t *bytes, size_t count) {
  const uint8_t *p = bytes, *end = bytes + count;
  while (p < end) {
    size_t length = nebula_utf8_sequence(p, end);
    if (!length) break;
    p += length;
  }
  return (size_t)(p - bytes);
}

#ifdef NEBULA_X86
// Sixteen bytes at once, by the three tables of Keiser and Lemire, "Validating UTF-8 In Less Than One Instruction Per
// Byte" (2021): two neighbours are wrong together when a bit is set in all of (high half of the first, low half of the
// first, high half of the second). The bits:
enum {
  TOO_SHORT = 1 << 0,      // a lead, and no continuation behind it
  TOO_LONG = 1 << 1,       // ASCII, and a continuation behind it
  OVERLONG_3 = 1 << 2,     // E0 80…9F
  TOO_LARGE = 1 << 3,      // F4 90…, F5…
  SURROGATE = 1 << 4,      // ED A0…
  OVERLONG_2 = 1 << 5,     // C0, C1
  OVERLONG_4 = 1 << 6,     // F0 80…8F; and F5… 80…8F, which is too large
  TWO_CONTINUE = 1 << 7,   // two continuations: right only as the end of three or four bytes
  ALWAYS = TOO_SHORT | TOO_LONG | TWO_CONTINUE,
};

__attribute__((target("ssse3"))) static inline __m128i faults(__m128i block, __m128i before) {
  const __m128i first_high = _mm_setr_epi8(
      TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, (char)TWO_CONTINUE,
      (char)TWO_CONTINUE, (char)TWO_CONTINUE, (char)TWO_CONTINUE, TOO_SHORT | OVERLONG_2, TOO_SHORT,
      TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | OVERLONG_4);
  const char large = (char)(ALWAYS | TOO_LARGE | OVERLONG_4);
  const __m128i first_low = _mm_setr_epi8(
      (char)(ALWAYS | OVERLONG_3 | OVERLONG_2 | OVERLONG_4), (char)(ALWAYS | OVERLONG_2), (char)ALWAYS, (char)ALWAYS,
      (char)(ALWAYS | TOO_LARGE), large, large, large, large, large, large, large, large, (char)(large | SURROGATE), large,
      large);
  const char continues = (char)(TOO_LONG | OVERLONG_2 | TWO_CONTINUE);
  const __m128i second_high = _mm_setr_epi8(
      TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
      (char)(continues | OVERLONG_3 | OVERLONG_4), (char)(continues | OVERLONG_3 | TOO_LARGE),
      (char)(continues | SURROGATE | TOO_LARGE), (char)(continues | SURROGATE | TOO_LARGE), TOO_SHORT, TOO_SHORT,
      TOO_SHORT, TOO_SHORT);
  const __m128i half = _mm_set1_epi8(0x0F);
  __m128i one = _mm_alignr_epi8(block, before, 15);
  __m128i wrong = _mm_and_si128(
      _mm_and_si128(_mm_shuffle_epi8(first_high, _mm_and_si128(_mm_srli_epi16(one, 4), half)),
                    _mm_shuffle_epi8(first_low, _mm_and_si128(one, half))),
      _mm_shuffle_epi8(second_high, _mm_and_si128(_mm_srli_epi16(block, 4), half)));
  // Two or three bytes behind the lead of a longer sequence there must be a continuation behind another: the bit that
  // says so is expected there, and nowhere else.
  __m128i third = _mm_subs_epu8(_mm_alignr_epi8(block, before, 14), _mm_set1_epi8(0xE0 - 0x80));
  __m128i fourth = _mm_subs_epu8(_mm_alignr_epi8(block, before, 13), _mm_set1_epi8((char)(0xF0 - 0x80)));
  __m128i expected = _mm_and_si128(_mm_or_si128(third, fourth), _mm_set1_epi8((char)0x80));
  return _mm_xor_si128(wrong, expected);
}

__attribute__((target("ssse3"))) static bool is_valid(const uint8_t *p, size_t count) {
  static const uint8_t edge[32] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
  __m128i before = _mm_setzero_si128(), wrong = before;
  for (; count >= 16; p += 16, count -= 16) {
    __m128i block = _mm_loadu_si128((const __m128i *)p);
    wrong = _mm_or_si128(wrong, faults(block, before));
    before = block;
  }
  // Zeros behind the end: a sequence that is cut off there is too short.
  __m128i rest = _mm_and_si128(nebula_load_tail(p, count), _mm_loadu_si128((const __m128i *)(edge + 16 - count)));
  wrong = _mm_or_si128(wrong, faults(rest, before));
  return _mm_movemask_epi8(_mm_cmpeq_epi8(wrong, _mm_setzero_si128())) == 0xFFFF;
}
#endif

size_t nebula_utf8_valid_prefix(const uint8_t *bytes, size_t count) {
  const uint8_t *p = bytes, *end = bytes + count;
  while (p < end) {
    // Eight bytes at once as long as they are ASCII.
    uint64_t word;
    while (end - p >= 8 && (memcpy(&word, p, 8), (word & 0x8080808080808080u) == 0)) p += 8;
    if (p == end) break;
#ifdef NEBULA_X86
    if (__builtin_cpu_supports("ssse3")) {
      if (is_valid(p, (size_t)(end - p))) return count;
      return (size_t)(p - bytes) + nebula_utf8_valid_prefix_scalar(p, (size_t)(end - p));
    }
#endif
    size_t length = nebula_utf8_sequence(p, end);
    if (!length) break;
    p += length;
  }
  return (size_t)(p - bytes);
}
