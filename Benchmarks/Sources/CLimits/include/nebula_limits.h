#pragma once
#include <stddef.h>
#include <stdint.h>

/// The parts of a job that are not ours, for the limit: the same libraries, called straight.

#ifdef __cplusplus
extern "C" {
#endif

/// The instruction set that simdjson picked.
const char *limit_simdjson_implementation(void);
/// simdjson's first stage (structure and UTF-8) over `count` bytes; `bytes` must have 64 readable bytes behind them.
/// Returns how many structural characters it found, negative on an error.
int64_t limit_stage1(const uint8_t *bytes, size_t count);

/// A compressor: gzip by isa-l 1 or zstd 1.
typedef struct limit_codec limit_codec;
limit_codec *limit_codec_create(int zstd);
void limit_codec_free(limit_codec *codec);
/// Compresses `count` bytes into a buffer of its own that is used again; `last` ends the member. Returns bytes written.
size_t limit_codec_write(limit_codec *codec, const uint8_t *bytes, size_t count, int last);

#ifdef __cplusplus
}
#endif
