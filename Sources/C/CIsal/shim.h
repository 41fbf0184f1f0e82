#pragma once
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

/// How large the work buffer of a compression level (0…3) has to be; the library's own are macros.
static inline uint32_t nebula_isal_level_buffer_size(int level) {
  switch (level) {
  case 0: return ISAL_DEF_LVL0_DEFAULT;
  case 1: return ISAL_DEF_LVL1_DEFAULT;
  case 2: return ISAL_DEF_LVL2_DEFAULT;
  default: return ISAL_DEF_LVL3_DEFAULT;
  }
}
