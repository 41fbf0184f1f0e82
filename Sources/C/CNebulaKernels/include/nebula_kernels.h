#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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
/// The same by one variant, for tests: 0 scalar, 1 SSE2, 2 AVX2; -1 when this machine does not have it.
int nebula_json_validate_variant(int variant, const uint8_t *bytes, size_t count, uint32_t depth, size_t *offset);

/// A member of an object: offsets of its key (inside the quotes) and of its value, the value's first byte, and whether
/// there are backslashes in the key and in a string value.
typedef struct {
  uint32_t key, key_end, value, value_end;
  uint8_t kind, key_escaped, value_escaped;
} nebula_json_member;

/// Walks a value that `nebula_json_validate` has let through, and gives the members of it if it is an object (up to
/// `capacity` of them; `found` counts all). At most 4 GiB - 1 bytes. Where the value is not whole after all, there is a
/// fault too, but texts and escapes are not looked at again.
int nebula_json_members(const uint8_t *bytes, size_t count, uint32_t depth, nebula_json_member *members, size_t capacity,
                        size_t *found, size_t *offset);
int nebula_json_members_scalar(const uint8_t *bytes, size_t count, uint32_t depth, nebula_json_member *members,
                               size_t capacity, size_t *found, size_t *offset);

/// Writes `bytes` as the inside of a JSON string to `out`, which must have room for 6 * `count` + 32 bytes; returns how
/// many it wrote. `bad` is the offset of the first byte that is not UTF-8 (where it stops), else `count`.
size_t nebula_json_escape(uint8_t *out, const uint8_t *bytes, size_t count, size_t *bad);
size_t nebula_json_escape_scalar(uint8_t *out, const uint8_t *bytes, size_t count, size_t *bad);

/// The offset of the first byte that a JSON string can't hold as it is (quote, backslash, below 0x20), else `count`.
size_t nebula_json_plain_prefix(const uint8_t *bytes, size_t count);
size_t nebula_json_plain_prefix_scalar(const uint8_t *bytes, size_t count);

/// The offset of the first byte that starts no well-formed UTF-8 sequence, else `count`.
size_t nebula_utf8_valid_prefix(const uint8_t *bytes, size_t count);
size_t nebula_utf8_valid_prefix_scalar(const uint8_t *bytes, size_t count);

/// True when the bytes are one whole BSON document, nested no deeper than `depth`, whose every length, type and text is
/// right.
bool nebula_bson_is_valid(const uint8_t *bytes, size_t count, uint32_t depth);

/// The offset of the first byte equal to `a` or `b`, else `count`.
size_t nebula_find_either(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b);
size_t nebula_find_either_scalar(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b);

/// The offset of the first byte equal to `a`, `b`, `c` or `d`, else `count`.
size_t nebula_find_any4(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b, uint8_t c, uint8_t d);
size_t nebula_find_any4_scalar(const uint8_t *bytes, size_t count, uint8_t a, uint8_t b, uint8_t c, uint8_t d);

/// The offset of the first byte equal to `a`, else `count`.
static inline size_t nebula_find_byte(const uint8_t *bytes, size_t count, uint8_t a) {
  if (count == 0) return 0;
#if defined(__SSE2__)
  // Names and fields are short: mostly this block decides, without a call.
  if (count >= 16) {
    __m128i block = _mm_loadu_si128((const __m128i *)bytes);
    uint32_t mask = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8((char)a)));
    if (mask) return (size_t)__builtin_ctz(mask);
  }
#endif
  const void *found = memchr(bytes, a, count);
  return found ? (size_t)((const uint8_t *)found - bytes) : count;
}

/// Rows of CSV, one behind the other.
struct nebula_csv_run {
  /// How many rows, and how many bytes with the last one's line end.
  size_t rows, bytes;
  /// Whether a byte that is not ASCII may be among them.
  bool has_high;
};

/// Finds the rows at the start of `bytes` (less than 4 GiB) that are right at one look: ended by a line feed or a carriage
/// return and one, with `width` fields, not empty, no quote but around whole fields or doubled inside them, no line end in a
/// field, and with `refuses_blanks` no space or tab at either end of a field.
///
/// `places` has room for `capacity` rows: `width` + 1 each, where the row starts and where each of its fields ends.
struct nebula_csv_run nebula_csv_rows(const uint8_t *bytes, size_t count, uint8_t delimiter, uint8_t quote, bool refuses_blanks,
                                      size_t width, uint32_t *places, size_t capacity);
/// The same by the best way that the machine has: 0 byte by byte, 1 SSE2, 2 AVX2. For tests.
struct nebula_csv_run nebula_csv_rows_variant(int variant, const uint8_t *bytes, size_t count, uint8_t delimiter, uint8_t quote,
                                              bool refuses_blanks, size_t width, uint32_t *places, size_t capacity);

/// Copies `bytes` with each `quote` doubled to `out`, which must have room for 2 * `count` + 16 bytes; returns how many it
/// wrote.
size_t nebula_double_quotes(uint8_t *out, const uint8_t *bytes, size_t count, uint8_t quote);
size_t nebula_double_quotes_scalar(uint8_t *out, const uint8_t *bytes, size_t count, uint8_t quote);

/// Copies `count` bytes, 16 at most, to `out`, which must have room for 16: without a loop or a call.
void nebula_copy_short(uint8_t *out, const uint8_t *bytes, size_t count);

/// Writes `count` bytes as twice as many lower-case hexadecimal digits.
static inline void nebula_hex(uint8_t *out, const uint8_t *bytes, size_t count) {
  for (; count >= 4; count -= 4, bytes += 4, out += 8) {
    uint32_t word;
    memcpy(&word, bytes, 4);
    // Each byte to two, the high half first; then 0…9 and 10…15 become digits, all eight at once.
    uint64_t wide = word;
    wide = (wide | wide << 16) & 0x0000FFFF0000FFFFu;
    wide = (wide | wide << 8) & 0x00FF00FF00FF00FFu;
    wide = (wide >> 4 | wide << 8) & 0x0F0F0F0F0F0F0F0Fu;
    uint64_t letters = (wide + 0x0606060606060606u) >> 4 & 0x0101010101010101u;
    wide += 0x3030303030303030u + letters * ('a' - '0' - 10);
    memcpy(out, &wide, 8);
  }
  for (; count; count--, bytes++) {
    *out++ = (uint8_t)"0123456789abcdef"[*bytes >> 4];
    *out++ = (uint8_t)"0123456789abcdef"[*bytes & 15];
  }
}

/// True when `count` bytes are the same.
static inline bool nebula_equal(const void *a, const void *b, size_t count) { return memcmp(a, b, count) == 0; }

/// The shortest digits that read back as `value` (finite, not zero, sign ignored): up to 17 of them, without a point, to
/// `digits`; `*exponent` is that of the first one (1.5 gives "15" and 0). Returns how many.
int nebula_double_digits(double value, char *digits, int *exponent);

#ifdef __cplusplus
}
#endif
