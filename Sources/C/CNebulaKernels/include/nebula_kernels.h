#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Kernels over byte buffers, each with a scalar reference (`…_scalar`) and variants picked at run time.

/// Why a text is not JSON; 0 is no fault. The Swift side gives each its sentence.
enum nebula_json_fault {
  NEBULA_JSON_FINE = 0,
  NEBULA_JSON_EMPTY,
  NEBULA_JSON_UNEXPECTED,
  NEBULA_JSON_TRUNCATED,
  NEBULA_JSON_TRAILING,
  NEBULA_JSON_DEPTH,
  NEBULA_JSON_NUMBER,
  NEBULA_JSON_LITERAL,
  NEBULA_JSON_CONTROL,
  NEBULA_JSON_ESCAPE,
  NEBULA_JSON_UTF8,
};

/// Looks whether `bytes` is one JSON value (RFC 8259) in UTF-8, nested at most `depth` (up to 1,024) deep; else says
/// why not, and at which offset.
int nebula_json_validate(const uint8_t *bytes, size_t count, uint32_t depth, size_t *offset);
int nebula_json_validate_scalar(const uint8_t *bytes, size_t count, uint32_t depth, size_t *offset);

/// The offset of the first byte that a JSON string can't hold as it is (quote, backslash, below 0x20), else `count`.
size_t nebula_json_plain_prefix(const uint8_t *bytes, size_t count);
size_t nebula_json_plain_prefix_scalar(const uint8_t *bytes, size_t count);

/// The offset of the first byte that starts no well-formed UTF-8 sequence, else `count`.
size_t nebula_utf8_valid_prefix(const uint8_t *bytes, size_t count);
size_t nebula_utf8_valid_prefix_scalar(const uint8_t *bytes, size_t count);

/// The offset of the first byte equal to `a` or `b`, else `count`.
size_t nebula_find_either(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b);
size_t nebula_find_either_scalar(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b);

/// The offset of the first byte equal to `a`, `b`, `c` or `d`, else `count`.
size_t nebula_find_any4(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b, uint8_t c, uint8_t d);
size_t nebula_find_any4_scalar(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b, uint8_t c, uint8_t d);

/// The offset of the first byte equal to `a`, else `count`.
static inline size_t nebula_find_byte(const uint8_t *bytes, size_t count, uint8_t a) {
  if (count == 0) return 0;
  const void *found = memchr(bytes, a, count);
  return found ? (size_t)((const uint8_t *)found - bytes) : count;
}

/// The shortest digits that read back as `value` (finite, not zero, sign ignored): up to 17 of them, without a point, to
/// `digits`; `*exponent` is that of the first one (1.5 gives "15" and 0). Returns how many.
int nebula_double_digits(double value, char *digits, int *exponent);

#ifdef __cplusplus
}
#endif
