#include "simd.h"

#define NAME(x) x##_scalar
#define TARGET
#define WIDTH 0
#define SPECIAL(p, high) 0
#include "json_walk.inc"

#ifdef NEBULA_X86

#define NAME(x) x##_sse2
#define TARGET
#define WIDTH 16
#define SPECIAL(p, high) nebula_special16(p, high)
#include "json_walk.inc"

#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,bmi,bmi2")))
#define WIDTH 32
#define SPECIAL(p, high) nebula_special32(p, high)
#include "json_walk.inc"

static inline int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"); }

int nebula_json_validate(const uint8_t *bytes, size_t count, uint32_t depth, size_t *offset) {
  if (has_avx2()) return nebula_json_validate_avx2(bytes, count, depth, offset);
  return nebula_json_validate_sse2(bytes, count, depth, offset);
}
int nebula_json_members(const uint8_t *bytes, size_t count, uint32_t depth, nebula_json_member *members, size_t capacity,
                        size_t *found, size_t *offset) {
  if (has_avx2()) return nebula_json_members_avx2(bytes, count, depth, members, capacity, found, offset);
  return nebula_json_members_sse2(bytes, count, depth, members, capacity, found, offset);
}

int nebula_json_validate_variant(int variant, const uint8_t *bytes, size_t count, uint32_t depth, size_t *offset) {
  if (variant == 1) return nebula_json_validate_sse2(bytes, count, depth, offset);
  if (variant == 2 && has_avx2()) return nebula_json_validate_avx2(bytes, count, depth, offset);
  return variant == 0 ? nebula_json_validate_scalar(bytes, count, depth, offset) : -1;
}

#else

int nebula_json_validate(const uint8_t *bytes, size_t count, uint32_t depth, size_t *offset) {
  return nebula_json_validate_scalar(bytes, count, depth, offset);
}
int nebula_json_members(const uint8_t *bytes, size_t count, uint32_t depth, nebula_json_member *members, size_t capacity,
                        size_t *found, size_t *offset) {
  return nebula_json_members_scalar(bytes, count, depth, members, capacity, found, offset);
}
int nebula_json_validate_variant(int variant, const uint8_t *bytes, size_t count, uint32_t depth, size_t *offset) {
  return variant == 0 ? nebula_json_validate_scalar(bytes, count, depth, offset) : -1;
}

#endif
