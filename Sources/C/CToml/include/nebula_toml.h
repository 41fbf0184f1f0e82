// Reads a TOML document. Behind it: toml++ (header only); nothing of C++ comes through this door.
#ifndef NEBULA_TOML_H
#define NEBULA_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A text of UTF-8; not terminated.
typedef struct {
  const char *bytes;
  size_t count;
} nebula_toml_text;

typedef enum {
  NEBULA_TOML_TABLE,
  NEBULA_TOML_STRING,
  // An integer or a boolean, as TOML writes it.
  NEBULA_TOML_WORD,
  // A list, a date or a number with a fraction: there, and of no use here.
  NEBULA_TOML_OTHER,
} nebula_toml_kind;

typedef struct {
  nebula_toml_kind kind;
  // The names on the way from the root.
  const nebula_toml_text *path;
  size_t depth;
  nebula_toml_text text;
  // Where the value is written, counted from 1.
  uint32_t line;
  uint32_t column;
} nebula_toml_entry;

typedef struct {
  uint32_t line;
  uint32_t column;
  // Terminated. It may repeat a piece of the document.
  char message[240];
} nebula_toml_error;

// Calls `visit` for each table and value, tables before what they hold; the entry is only good inside the call. False
// when the document can't be read, or is nested deeper than 16 tables; then `error` says why.
bool nebula_toml_read(const char *bytes, size_t count, void *context,
                      void (*visit)(void *context, const nebula_toml_entry *entry), nebula_toml_error *error);

#ifdef __cplusplus
}
#endif

#endif
