#include "nebula_kernels.h"
#include "nebula_parquet.h"
#include <charconv>

extern "C" int nebula_double_digits(double value, char *digits, int *exponent) {
  char text[32];
  // libstdc++'s shortest form: d[.ddd]e±dd
  const char *end = std::to_chars(text, text + sizeof text, value < 0 ? -value : value, std::chars_format::scientific).ptr;
  int count = 0;
  const char *p = text;
  for (; p < end && *p != 'e'; p++)
    if (*p != '.') digits[count++] = *p;
  int magnitude = 0;
  bool negative = p + 1 < end && p[1] == '-';
  for (p += 2; p < end; p++) magnitude = magnitude * 10 + (*p - '0');
  *exponent = negative ? -magnitude : magnitude;
  while (count > 1 && digits[count - 1] == '0') count--;
  return count;
}

extern "C" bool nebula_parse_double(const uint8_t *text, size_t count, double *value) {
  const char *begin = (const char *)text, *end = begin + count;
  double parsed;
  auto result = std::from_chars(begin, end, parsed);
  if (result.ec != std::errc() || result.ptr != end) return false;
  *value = parsed;
  return true;
}
