#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "nebula_toml.h"

namespace {

constexpr size_t max_depth = 16;
struct TooDeep {};

nebula_toml_text text_of(std::string_view view) { return {view.data(), view.size()}; }

struct Walk {
  void *context;
  void (*visit)(void *, const nebula_toml_entry *);
  nebula_toml_text path[max_depth];

  void give(nebula_toml_kind kind, size_t depth, std::string_view text, const toml::source_region &place) {
    nebula_toml_entry entry = {kind, path, depth, text_of(text), place.begin.line, place.begin.column};
    visit(context, &entry);
  }

  void table(const toml::table &table, size_t depth) {
    if (depth == max_depth) throw TooDeep();
    for (auto &&[key, node] : table) {
      path[depth] = text_of(key.str());
      const auto &place = node.source();
      if (const auto *inner = node.as_table()) {
        give(NEBULA_TOML_TABLE, depth + 1, {}, place);
        this->table(*inner, depth + 1);
      } else if (const auto *string = node.as_string()) {
        give(NEBULA_TOML_STRING, depth + 1, string->get(), place);
      } else if (const auto *number = node.as_integer()) {
        give(NEBULA_TOML_WORD, depth + 1, std::to_string(number->get()), place);
      } else if (const auto *boolean = node.as_boolean()) {
        give(NEBULA_TOML_WORD, depth + 1, boolean->get() ? "true" : "false", place);
      } else {
        give(NEBULA_TOML_OTHER, depth + 1, {}, place);
      }
    }
  }
};

bool fail(nebula_toml_error *error, std::string_view message, uint32_t line, uint32_t column) {
  error->line = line;
  error->column = column;
  std::snprintf(error->message, sizeof error->message, "%.*s", static_cast<int>(message.size()), message.data());
  return false;
}

}  // namespace

extern "C" bool nebula_toml_read(const char *bytes, size_t count, void *context,
                                 void (*visit)(void *, const nebula_toml_entry *), nebula_toml_error *error) {
  try {
    auto document = toml::parse(std::string_view(bytes, count));
    if (!document) {
      const auto &where = document.error().source().begin;
      return fail(error, document.error().description(), where.line, where.column);
    }
    Walk{context, visit, {}}.table(document.table(), 0);
    return true;
  } catch (const TooDeep &) {
    return fail(error, "tables are nested too deep", 0, 0);
  } catch (...) {
    return fail(error, "it can't be read", 0, 0);
  }
}
