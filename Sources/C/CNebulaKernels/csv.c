#include "simd.h"

static inline bool is_blank(uint8_t byte, uint8_t delimiter) { return (byte == ' ' || byte == '\t') && byte != delimiter; }

/// Where a field ends that starts at `i`: at a delimiter, a line feed, or the carriage return before one; `count` for a
/// field that is not right beyond doubt.
static size_t field_end(const uint8_t *bytes, size_t i, size_t count, uint8_t delimiter, uint8_t quote, bool *has_high) {
  if (i < count && bytes[i] == quote) {
    for (i++; i < count; i++) {
      if (bytes[i] == '\n' || bytes[i] == '\r') return count;
      if (bytes[i] == quote) {
        if (i + 1 >= count || bytes[i + 1] != quote) break;
        i++;
      }
      *has_high |= bytes[i] >= 0x80;
    }
    i++;
  } else {
    for (; i < count && bytes[i] != delimiter && bytes[i] != '\n' && bytes[i] != '\r'; i++) {
      if (bytes[i] == quote) return count;
      *has_high |= bytes[i] >= 0x80;
    }
  }
  if (i >= count) return count;
  bool is_end = bytes[i] == delimiter || bytes[i] == '\n' || (bytes[i] == '\r' && i + 1 < count && bytes[i + 1] == '\n');
  return is_end ? i : count;
}

static struct nebula_csv_run rows_scalar(const uint8_t *bytes, size_t count, uint8_t delimiter, uint8_t quote,
                                         bool refuses_blanks, size_t width, uint32_t *places, size_t capacity) {
  struct nebula_csv_run run = {0, 0, false};
  for (size_t at = 0; run.rows < capacity;) {
    uint32_t *row = places + run.rows * (width + 1);
    bool has_high = false;
    row[0] = (uint32_t)at;
    for (size_t field = 1;; field++) {
      size_t end = field_end(bytes, at, count, delimiter, quote, &has_high);
      if (end == count || field > width) return run;
      if (refuses_blanks && end > at && (is_blank(bytes[at], delimiter) || is_blank(bytes[end - 1], delimiter))) return run;
      row[field] = (uint32_t)end;
      at = end + (bytes[end] == '\r' ? 2 : 1);
      if (bytes[end] == delimiter) continue;
      if (field != width || end == row[0]) return run;
      break;
    }
    run.rows++;
    run.bytes = at;
    run.has_high |= has_high;
  }
  return run;
}

#ifdef NEBULA_X86

/// What a block of 64 bytes holds, a bit a byte.
struct block {
  uint64_t delimiters, lines, quotes, returns, blanks, high;
};

static inline __attribute__((always_inline)) uint64_t equal16(__m128i v, uint8_t byte) {
  return (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)byte)));
}
static inline __attribute__((always_inline)) struct block look_sse2(const uint8_t *p, uint8_t delimiter, uint8_t quote,
                                                                    bool needs_blanks) {
  struct block found = {0, 0, 0, 0, 0, 0};
  for (int part = 0; part < 64; part += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(p + part));
    found.delimiters |= equal16(v, delimiter) << part;
    found.lines |= equal16(v, '\n') << part;
    found.quotes |= equal16(v, quote) << part;
    found.returns |= equal16(v, '\r') << part;
    found.high |= (uint64_t)(uint32_t)_mm_movemask_epi8(v) << part;
    if (needs_blanks) found.blanks |= (equal16(v, ' ') | equal16(v, '\t')) << part;
  }
  found.blanks &= ~found.delimiters;
  return found;
}

__attribute__((target("avx2"))) static inline __attribute__((always_inline)) uint64_t equal32(__m256i v, uint8_t byte) {
  return (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)byte)));
}
__attribute__((target("avx2"))) static inline __attribute__((always_inline)) struct block look_avx2(
    const uint8_t *p, uint8_t delimiter, uint8_t quote, bool needs_blanks) {
  struct block found = {0, 0, 0, 0, 0, 0};
  for (int part = 0; part < 64; part += 32) {
    __m256i v = _mm256_loadu_si256((const __m256i *)(p + part));
    found.delimiters |= equal32(v, delimiter) << part;
    found.lines |= equal32(v, '\n') << part;
    found.quotes |= equal32(v, quote) << part;
    found.returns |= equal32(v, '\r') << part;
    found.high |= (uint64_t)(uint32_t)_mm256_movemask_epi8(v) << part;
    if (needs_blanks) found.blanks |= (equal32(v, ' ') | equal32(v, '\t')) << part;
  }
  found.blanks &= ~found.delimiters;
  return found;
}

/// Each bit says whether an odd number of bits is set up to it.
static inline uint64_t odd_up_to(uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

#define NAME rows_sse2
#define TARGET
#define LOOK look_sse2
#include "csv_rows.inc"

#define NAME rows_avx2
#define TARGET __attribute__((target("avx2,bmi,bmi2")))
#define LOOK look_avx2
#include "csv_rows.inc"

#endif

struct nebula_csv_run nebula_csv_rows_variant(int variant, const uint8_t *bytes, size_t count, uint8_t delimiter, uint8_t quote,
                                              bool refuses_blanks, size_t width, uint32_t *places, size_t capacity) {
#ifdef NEBULA_X86
  bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (variant == 2 && has_avx2) return rows_avx2(bytes, count, delimiter, quote, refuses_blanks, width, places, capacity);
  if (variant >= 1) return rows_sse2(bytes, count, delimiter, quote, refuses_blanks, width, places, capacity);
#endif
  return rows_scalar(bytes, count, delimiter, quote, refuses_blanks, width, places, capacity);
}

struct nebula_csv_run nebula_csv_rows(const uint8_t *bytes, size_t count, uint8_t delimiter, uint8_t quote, bool refuses_blanks,
                                      size_t width, uint32_t *places, size_t capacity) {
  return nebula_csv_rows_variant(2, bytes, count, delimiter, quote, refuses_blanks, width, places, capacity);
}
