#include "nebula_kernels.h"

typedef struct {
  const uint8_t *p, *end;
  int fault;
} cursor;

static inline int fail(cursor *c, int fault) {
  c->fault = fault;
  return 0;
}
static inline void skip_space(cursor *c) {
  while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t')) c->p++;
}
static inline int is_digit(const cursor *c) { return c->p < c->end && (uint8_t)(*c->p - '0') < 10; }
static int digits(cursor *c) {
  if (!is_digit(c)) return fail(c, c->p < c->end ? NEBULA_JSON_NUMBER : NEBULA_JSON_TRUNCATED);
  while (is_digit(c)) c->p++;
  return 1;
}
static int number(cursor *c) {
  if (*c->p == '-') c->p++;
  if (c->p < c->end && *c->p == '0') {
    c->p++;
    if (is_digit(c)) return fail(c, NEBULA_JSON_NUMBER);
  } else if (!digits(c)) return 0;
  if (c->p < c->end && *c->p == '.') {
    c->p++;
    if (!digits(c)) return 0;
  }
  if (c->p < c->end && (*c->p | 0x20) == 'e') {
    c->p++;
    if (c->p < c->end && (*c->p == '+' || *c->p == '-')) c->p++;
    if (!digits(c)) return 0;
  }
  return 1;
}
static int literal(cursor *c, const char *text, size_t count) {
  for (size_t i = 0; i < count; i++, c->p++) {
    if (c->p == c->end) return fail(c, NEBULA_JSON_TRUNCATED);
    if (*c->p != (uint8_t)text[i]) return fail(c, NEBULA_JSON_LITERAL);
  }
  return 1;
}
static inline int is_hex(uint8_t b) { return (uint8_t)(b - '0') < 10 || (uint8_t)((b | 0x20) - 'a') < 6; }
/// Behind the backslash.
static int escape(cursor *c) {
  if (c->p == c->end) return fail(c, NEBULA_JSON_TRUNCATED);
  switch (*c->p) {
  case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't': c->p++; return 1;
  case 'u':
    c->p++;
    for (int i = 0; i < 4; i++, c->p++) {
      if (c->p == c->end) return fail(c, NEBULA_JSON_TRUNCATED);
      if (!is_hex(*c->p)) return fail(c, NEBULA_JSON_ESCAPE);
    }
    return 1;
  default: return fail(c, NEBULA_JSON_ESCAPE);
  }
}
/// At the opening quote.
static int string(cursor *c) {
  c->p++;
  for (;;) {
    const uint8_t *from = c->p;
    while (c->p < c->end && *c->p >= 0x20 && *c->p != '"' && *c->p != '\\') c->p++;
    size_t plain = (size_t)(c->p - from), good = nebula_utf8_valid_prefix_scalar(from, plain);
    if (good < plain) {
      c->p = from + good;
      return fail(c, NEBULA_JSON_UTF8);
    }
    if (c->p == c->end) return fail(c, NEBULA_JSON_TRUNCATED);
    if (*c->p == '"') {
      c->p++;
      return 1;
    }
    if (*c->p < 0x20) return fail(c, NEBULA_JSON_CONTROL);
    c->p++;
    if (!escape(c)) return 0;
  }
}
/// A value that is no container.
static int scalar(cursor *c) {
  switch (*c->p) {
  case '"': return string(c);
  case 't': return literal(c, "true", 4);
  case 'f': return literal(c, "false", 5);
  case 'n': return literal(c, "null", 4);
  case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
    return number(c);
  default: return fail(c, *c->p >= 0x80 && !nebula_utf8_valid_prefix_scalar(c->p, (size_t)(c->end - c->p)) ?
      NEBULA_JSON_UTF8 : NEBULA_JSON_UNEXPECTED);
  }
}
/// `"key" :` with the space around it.
static int key(cursor *c) {
  if (c->p == c->end) return fail(c, NEBULA_JSON_TRUNCATED);
  if (*c->p != '"') return fail(c, NEBULA_JSON_UNEXPECTED);
  if (!string(c)) return 0;
  skip_space(c);
  if (c->p == c->end) return fail(c, NEBULA_JSON_TRUNCATED);
  if (*c->p != ':') return fail(c, NEBULA_JSON_UNEXPECTED);
  c->p++;
  skip_space(c);
  return 1;
}

static int value(cursor *c, uint32_t limit) {
  uint8_t is_object[1024];
  uint32_t depth = 0;
  for (;;) {
    if (c->p == c->end) return fail(c, NEBULA_JSON_TRUNCATED);
    uint8_t first = *c->p;
    if (first == '{' || first == '[') {
      if (depth == limit) return fail(c, NEBULA_JSON_DEPTH);
      is_object[depth++] = first == '{';
      c->p++;
      skip_space(c);
      if (c->p < c->end && *c->p == first + 2) {  // '{' + 2 is '}', '[' + 2 is ']'
        c->p++;
        depth--;
      } else {
        if (first == '{' && !key(c)) return 0;
        continue;
      }
    } else if (!scalar(c)) return 0;
    // Behind a value: close what ends here, then step to the next member or element.
    for (;;) {
      if (depth == 0) return 1;
      skip_space(c);
      if (c->p == c->end) return fail(c, NEBULA_JSON_TRUNCATED);
      int object = is_object[depth - 1];
      if (*c->p == ',') {
        c->p++;
        skip_space(c);
        if (object && !key(c)) return 0;
        break;
      }
      if (*c->p != (object ? '}' : ']')) return fail(c, NEBULA_JSON_UNEXPECTED);
      c->p++;
      depth--;
    }
  }
}

int nebula_json_validate_scalar(const uint8_t *bytes, size_t count, uint32_t depth, size_t *offset) {
  cursor c = {bytes, bytes + count, NEBULA_JSON_FINE};
  if (depth > 1024) depth = 1024;
  skip_space(&c);
  if (c.p == c.end) c.fault = NEBULA_JSON_EMPTY;
  else if (value(&c, depth)) {
    skip_space(&c);
    if (c.p < c.end) c.fault = NEBULA_JSON_TRAILING;
  }
  *offset = (size_t)(c.p - bytes);
  return c.fault;
}

int nebula_json_validate(const uint8_t *bytes, size_t count, uint32_t depth, size_t *offset) {
  return nebula_json_validate_scalar(bytes, count, depth, offset);
}
