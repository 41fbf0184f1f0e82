#include "nebula_limits.h"

#include <cstdlib>
#include <cstring>
#include <isa-l/igzip_lib.h>
#include <memory>
#include <simdjson.h>
#include <string>
#include <zstd.h>

const char *limit_simdjson_implementation(void) {
  static std::string name = simdjson::get_active_implementation()->name();
  return name.c_str();
}

int64_t limit_stage1(const uint8_t *bytes, size_t count) {
  static thread_local std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
  static thread_local size_t capacity = 0;
  if (!parser || capacity < count) {
    capacity = count * 2;
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, 1024, parser)) return -1;
  }
  if (parser->stage1(bytes, count, simdjson::stage1_mode::regular)) return -2;
  return parser->n_structural_indexes;
}

struct limit_codec {
  ZSTD_CCtx *zstd = nullptr;
  isal_zstream isal;
  uint8_t *work = nullptr;
  uint8_t *out = nullptr;
  size_t room = 4 << 20;
};

static void prepare(limit_codec *c) {
  c->isal.level = 1;
  c->isal.level_buf = c->work;
  c->isal.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
  c->isal.gzip_flag = IGZIP_GZIP;
  c->isal.flush = NO_FLUSH;
  c->isal.end_of_stream = 0;
}

limit_codec *limit_codec_create(int zstd) {
  limit_codec *c = new limit_codec;
  c->out = (uint8_t *)malloc(c->room);
  if (zstd) {
    c->zstd = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, 1);
  } else {
    c->work = (uint8_t *)malloc(ISAL_DEF_LVL1_DEFAULT);
    isal_deflate_init(&c->isal);
    prepare(c);
  }
  return c;
}

void limit_codec_free(limit_codec *c) {
  ZSTD_freeCCtx(c->zstd);
  free(c->work);
  free(c->out);
  delete c;
}

size_t limit_codec_write(limit_codec *c, const uint8_t *bytes, size_t count, int last) {
  size_t written = 0;
  if (c->zstd) {
    ZSTD_inBuffer in = {bytes, count, 0};
    size_t left;
    do {
      ZSTD_outBuffer out = {c->out, c->room, 0};
      left = ZSTD_compressStream2(c->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left)) abort();
      written += out.pos;
    } while (in.pos < in.size || (last && left));
    return written;
  }
  c->isal.next_in = (uint8_t *)bytes;
  c->isal.avail_in = (uint32_t)count;
  c->isal.end_of_stream = last;
  do {
    c->isal.next_out = c->out;
    c->isal.avail_out = (uint32_t)c->room;
    if (isal_deflate(&c->isal) != COMP_OK) abort();
    written += c->room - c->isal.avail_out;
  } while (c->isal.avail_in || c->isal.avail_out == 0);
  if (last) {
    isal_deflate_reset(&c->isal);
    prepare(c);
  }
  return written;
}
