#pragma once
#include <zlib.h>

/// `deflateInit2` (a macro) for a gzip member: 32 KiB window, default memory and strategy.
static inline int nebula_deflate_init_gzip(z_stream *stream, int level) {
  return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}
