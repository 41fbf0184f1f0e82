#include "simd.h"
#include "utf8.h"

// `BSON.validate` and `BSONReader` hold the same rules and say what is wrong; this only says whether all is right. The
// tests compare the two on damaged documents.

static inline size_t length_at(const uint8_t *p) {
  int32_t length;
  memcpy(&length, p, 4);
  return length < 0 ? SIZE_MAX : (size_t)length;
}

static inline bool is_ascii(const uint8_t *p, size_t count) {
#ifdef NEBULA_X86
  for (; count >= 16; p += 16, count -= 16)
    if (_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)p))) return false;
  uint32_t high = (uint32_t)_mm_movemask_epi8(nebula_load_tail(p, count));
  return (high & (((uint32_t)1 << count) - 1)) == 0;
#else
  uint8_t all = 0;
  for (size_t at = 0; at < count; at++) all |= p[at];
  return all < 0x80;
#endif
}

static inline bool is_text(const uint8_t *p, size_t count) {
  return is_ascii(p, count) || nebula_utf8_valid_prefix(p, count) == count;
}

/// The first zero byte in `p`..<`end`, else `end`; `*high` is set when a byte before it is not ASCII.
static inline const uint8_t *name_end(const uint8_t *p, const uint8_t *end, bool *high) {
#ifdef NEBULA_X86
  while (end - p >= 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    uint32_t zeros = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128()));
    uint32_t highs = (uint32_t)_mm_movemask_epi8(v);
    if (zeros) {
      *high |= (highs & (zeros - 1) & ~zeros) != 0;
      return p + __builtin_ctz(zeros);
    }
    *high |= highs != 0;
    p += 16;
  }
#endif
  for (; p < end && *p; p++) *high |= *p >= 0x80;  // in the last 16 bytes of a document
  return p;
}

/// The size of a text with its length, whose bytes are those behind the length; 0 when it is none.
static inline size_t text_size(const uint8_t *p, const uint8_t *end) {
  if (end - p < 4) return 0;
  size_t length = length_at(p);
  if (length < 1 || length > (size_t)(end - p) - 4 || p[4 + length - 1] != 0) return 0;
  return 4 + length;
}

static bool is_document(const uint8_t *bytes, size_t count, bool is_array, uint32_t depth) {
  if (depth == 0 || count < 5 || length_at(bytes) != count || bytes[count - 1] != 0) return false;
  const uint8_t *p = bytes + 4, *end = bytes + count - 1;
  while (p < end) {
    uint8_t type = *p++;
    bool high = false;
    const uint8_t *name = p;
    p = name_end(p, end, &high);
    if (p == end) return false;
    if (high && !is_array && !is_text(name, (size_t)(p - name))) return false;
    p++;
    size_t left = (size_t)(end - p), size;
    switch (type) {
      case 0x06: case 0x0A: case 0x7F: case 0xFF: size = 0; break;
      case 0x08:
        if (left < 1 || *p > 1) return false;
        size = 1;
        break;
      case 0x10: size = 4; break;
      case 0x01: case 0x09: case 0x11: case 0x12: size = 8; break;
      case 0x07: size = 12; break;
      case 0x13: size = 16; break;
      case 0x02: case 0x0D: case 0x0E: case 0x0C:
        size = text_size(p, end);
        if (!size || !is_text(p + 4, size - 5)) return false;
        if (type == 0x0C) size += 12;
        break;
      case 0x03: case 0x04:
        if (left < 4) return false;
        size = length_at(p);
        if (size < 5 || size > left || !is_document(p, size, type == 0x04, depth - 1)) return false;
        break;
      case 0x05:
        if (left < 5) return false;
        size = length_at(p);
        if (size > left - 5) return false;
        if (p[4] == 2 && (size < 4 || length_at(p + 5) != size - 4)) return false;
        size += 5;
        break;
      case 0x0B: {
        const uint8_t *pattern = name_end(p, end, &high);
        if (pattern == end) return false;
        const uint8_t *options = name_end(pattern + 1, end, &high);
        if (options == end) return false;
        size = (size_t)(options - p) + 1;
        if (!is_text(p, size)) return false;
        break;
      }
      case 0x0F: {
        if (left < 4) return false;
        size = length_at(p);
        if (size < 14 || size > left) return false;
        size_t code = text_size(p + 4, p + size);
        if (!code || size - 4 - code < 5 || !is_text(p + 8, code - 5)) return false;
        if (!is_document(p + 4 + code, size - 4 - code, false, depth - 1)) return false;
        break;
      }
      default: return false;
    }
    if (size > left) return false;
    p += size;
  }
  return true;
}

bool nebula_bson_is_valid(const uint8_t *bytes, size_t count, uint32_t depth) {
  return is_document(bytes, count, false, depth);
}
