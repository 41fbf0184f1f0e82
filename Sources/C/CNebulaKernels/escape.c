#include "simd.h"
#include "utf8.h"

/// Writes the escape of a byte that a JSON string can't hold as it is; returns behind it.
static uint8_t *escape(uint8_t *out, uint8_t byte) {
  static const char hex[] = "0123456789abcdef";
  *out++ = '\\';
  switch (byte) {
  case '"': case '\\': *out++ = byte; return out;
  case 8: *out++ = 'b'; return out;
  case 9: *out++ = 't'; return out;
  case 10: *out++ = 'n'; return out;
  case 12: *out++ = 'f'; return out;
  case 13: *out++ = 'r'; return out;
  }
  memcpy(out, "u00", 3);
  out[3] = (uint8_t)hex[byte >> 4];
  out[4] = (uint8_t)hex[byte & 15];
  return out + 5;
}

/// One well-formed sequence, escaped; returns how many bytes of `in` it was, 0 when there is none.
static inline size_t step(uint8_t **out, const uint8_t *in, const uint8_t *end) {
  uint8_t byte = *in;
  if (byte < 0x20 || byte == '"' || byte == '\\') {
    *out = escape(*out, byte);
    return 1;
  }
  size_t length = nebula_utf8_sequence(in, end);
  for (size_t i = 0; i < length; i++) *(*out)++ = in[i];
  return length;
}

size_t nebula_json_escape_scalar(uint8_t *out, const uint8_t *bytes, size_t count, size_t *bad) {
  const uint8_t *in = bytes, *end = bytes + count;
  uint8_t *at = out;
  while (in < end) {
    size_t length = step(&at, in, end);
    if (!length) break;
    in += length;
  }
  *bad = (size_t)(in - bytes);
  return (size_t)(at - out);
}

size_t nebula_json_escape(uint8_t *out, const uint8_t *bytes, size_t count, size_t *bad) {
#ifdef NEBULA_X86
  const uint8_t *in = bytes, *end = bytes + count;
  uint8_t *at = out;
  while (in < end) {
    uint32_t stop = 0, high;
    // Whole blocks of plain ASCII are copied as they are; there is always room for a block.
    while (end - in >= 16) {
      stop = nebula_special16(in, &high) | high;
      _mm_storeu_si128((__m128i *)at, _mm_loadu_si128((const __m128i *)in));
      if (stop) break;
      in += 16;
      at += 16;
    }
    if (end - in < 16) {
      if (in == end) break;
      size_t left = (size_t)(end - in);
      __m128i block = nebula_load_tail(in, left);
      stop = (nebula_special_in(block, &high) | high) & (((uint32_t)1 << left) - 1);
      _mm_storeu_si128((__m128i *)at, block);
      if (!stop) {
        in += left;
        at += left;
        break;
      }
    }
    uint32_t plain = (uint32_t)__builtin_ctz(stop);
    in += plain;
    at += plain;
    // Here stands an escape or a longer sequence; more of its kind often follow.
    do {
      size_t length = step(&at, in, end);
      if (!length) goto done;
      in += length;
    } while (in < end && *in >= 0x80);
  }
done:
  *bad = (size_t)(in - bytes);
  return (size_t)(at - out);
#else
  return nebula_json_escape_scalar(out, bytes, count, bad);
#endif
}
