#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Parquet's hybrid of run lengths and packed bits, of numbers below 2^`width` (1…32). `out` must have room for
/// `nebula_hybrid_room` bytes; returns how many were written.
size_t nebula_hybrid_levels(uint8_t *out, const uint8_t *values, size_t count, uint32_t width);
size_t nebula_hybrid_indices(uint8_t *out, const uint32_t *values, size_t count, uint32_t width);
static inline size_t nebula_hybrid_room(size_t count, uint32_t width) { return (count / 8 + 2) * (width + 16); }

/// Packs bytes that are 0 or 1 into bits, the first into the lowest; writes (`count` + 7) / 8 bytes.
void nebula_pack_booleans(uint8_t *out, const uint8_t *values, size_t count);
void nebula_pack_booleans_scalar(uint8_t *out, const uint8_t *values, size_t count);

/// The distinct values of a column. All memory is the caller's.
typedef struct {
  /// Open addressing: 0 where free, else the hash's upper half and, in the lower, the entry's index + 1.
  uint64_t *slots;
  /// One less than the slots, of which there are a power of two, more than twice as many as entries.
  uint64_t mask;
  /// The entries as PLAIN writes them, one behind the other, and how many bytes that is.
  uint8_t *entries;
  size_t used;
  /// Where each entry begins in `entries`.
  uint32_t *offsets;
  uint32_t count;
} nebula_dictionary;

/// Looks each of `count` PLAIN values up, adds those that are new, and writes their indices. `width` is the bytes of a
/// value, 0 for texts behind their 32-bit length. `*bytes` is how many bytes of `values` were looked at. Returns how
/// many values were done: fewer than `count` when `entries` would exceed `limit` bytes, or when hashes collide so much
/// that somebody may mean it.
/// There must be room for `count` more slots, offsets and, up to `limit`, entries.
size_t nebula_dictionary_add(nebula_dictionary *dictionary, const uint8_t *values, size_t count, uint32_t width,
                             size_t limit, uint32_t *indices, size_t *bytes);
/// Moves everything into larger slots, which are all zero.
void nebula_dictionary_move(nebula_dictionary *dictionary, uint64_t *slots, uint64_t mask);

/// The smallest and largest of `count` (not 0) little-endian numbers, which need not be aligned.
void nebula_range_i32(const uint8_t *values, size_t count, int32_t *least, int32_t *most);
void nebula_range_i64(const uint8_t *values, size_t count, int64_t *least, int64_t *most);
/// The same of doubles; false, with nothing written, when one is NaN.
bool nebula_range_double(const uint8_t *values, size_t count, double *least, double *most);
/// The offsets of the smallest and largest of `count` (not 0) values of `width` bytes (0: behind their 32-bit length),
/// compared as unsigned bytes, or as two's complement with the highest byte first.
void nebula_range_bytes(const uint8_t *values, size_t count, uint32_t width, bool is_signed, size_t *least,
                        size_t *most);

/// The double nearest to a decimal text; false when there is no such text or it is out of range (also too near to 0).
bool nebula_parse_double(const uint8_t *text, size_t count, double *value);

#ifdef __cplusplus
}
#endif
