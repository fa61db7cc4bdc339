// Numbers, strings and enums of JSON schemas.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "grammar/rules/nfa_builder.h"
#include "grammar/schema/schema_compiler.h"
#include "grammar/schema/types.h"
#include "grammar/sources/json_format.h"
#include "grammar/sources/json_number.h"
#include "grammar/sources/json_string.h"
#include "grammar/sources/regex.h"

namespace fathom::grammar {
namespace {

constexpr uint32_t kMaxDivisor = 1000;
constexpr double kNoNumber = 1e39;

// Shortest digits that read back as the same number.
std::string number_text(const SchemaJson& number) {
  return number.is_number_float() ? fmt::format("{}", number.get<double>()) : number.dump();
}

struct Bound {
  std::optional<Decimal> value;
  const char* keyword;
};

// The tighter of minimum and exclusiveMinimum, or of maximum and exclusiveMaximum.
Result<Bound> bound(const SchemaJson& flat, const char* inclusive, const char* exclusive,
                    bool is_low, const std::string& path) {
  Bound result{{}, inclusive};
  for (const char* keyword : {inclusive, exclusive}) {
    if (!flat.contains(keyword)) continue;
    // Beyond all numbers that are generated: schema generators write DBL_MAX for "no bound".
    const double number = flat[keyword].get<double>();
    if (is_low ? number < -kNoNumber : number > kNoNumber) continue;
    auto decimal = parse_decimal(number_text(flat[keyword]));
    if (!decimal) {
      return schema_error(schema_path(path, keyword), decimal.error().message,
                          decimal.error().code);
    }
    Decimal next = *decimal;
    next.exclusive = keyword == exclusive;
    // A closed bound comes first; the open one replaces it unless it is looser.
    Decimal closed = next;
    closed.exclusive = false;
    const bool tighter = !result.value.has_value() || (is_low ? in_order(*result.value, closed)
                                                              : in_order(closed, *result.value));
    if (tighter) result = {next, keyword};
  }
  return result;
}

size_t code_points(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

bool has_any(const SchemaJson& flat, std::initializer_list<const char*> keywords) {
  return std::any_of(keywords.begin(), keywords.end(),
                     [&](const char* keyword) { return flat.contains(keyword); });
}

}  // namespace

Result<Expr> SchemaCompiler::number(const SchemaJson& flat, bool integer, const std::string& path) {
  NumberRange range;
  range.integer = integer;
  FATHOM_ASSIGN(const Bound low, bound(flat, "minimum", "exclusiveMinimum", true, path));
  FATHOM_ASSIGN(const Bound high, bound(flat, "maximum", "exclusiveMaximum", false, path));
  range.low = low.value;
  range.high = high.value;
  if (flat.contains("multipleOf")) {
    const SchemaJson& divisor = flat["multipleOf"];
    const double number = divisor.get<double>();
    if (!(number >= 1 && number <= kMaxDivisor) ||
        number != static_cast<double>(static_cast<uint32_t>(number))) {
      return schema_error(schema_path(path, "multipleOf"),
                          "expected a whole number from 1 to 1000, got " + divisor.dump(),
                          ErrorCode::kUnsupported);
    }
    range.divisor = static_cast<uint32_t>(number);
    range.integer = true;
  }
  if (low.value.has_value() && high.value.has_value() && !in_order(*low.value, *high.value)) {
    return schema_error(schema_path(path, low.keyword),
                        std::string("expected a number below ") + high.keyword + ", " +
                            flat[high.keyword].dump() + ", got " + flat[low.keyword].dump());
  }
  if (!low.value.has_value() && !high.value.has_value() && range.divisor == 1) {
    return range.integer ? json_.integer() : json_.number();
  }
  return number_range(grammar_, range);
}

Result<Expr> SchemaCompiler::string(const SchemaJson& flat, const std::string& path) {
  if (!has_any(flat, {"pattern", "format", "minLength", "maxLength"})) return json_.string();
  FATHOM_ASSIGN(const Expr content, string_content(flat, path));
  return grammar_.sequence({grammar_.literal("\""), content, grammar_.literal("\"")});
}

// Free of calls; spelled as json_chars() does.
Result<Expr> SchemaCompiler::string_content(const SchemaJson& flat, const std::string& path) {
  FATHOM_TRY(check_order(flat, "minLength", "maxLength", path));
  std::optional<Expr> content;
  const auto narrow = [&](Expr expr) {
    content = content.has_value() ? grammar_.both(*content, expr) : expr;
  };
  for (const char* keyword : {"pattern", "format"}) {
    if (!flat.contains(keyword)) continue;
    const std::string where = schema_path(path, keyword);
    for (const SchemaJson& text : flat[keyword]) {
      std::string pattern = text.get<std::string>();
      if (std::string_view(keyword) == "format") {
        const auto known = format_pattern(pattern);
        if (!known.has_value()) {
          return schema_error(where, "expected one of " + format_names() + ", got " + pattern,
                              ErrorCode::kUnsupported);
        }
        pattern = *known;
      }
      auto expr = json_string_regex(grammar_, pattern);
      if (!expr) return schema_error(where, expr.error().message, expr.error().code);
      narrow(*expr);
    }
  }
  const uint32_t least = schema_count(flat, "minLength", 0);
  const uint32_t most = schema_count(flat, "maxLength", kUnbounded);
  if (!content.has_value() || least > 0 || most != kUnbounded) {
    narrow(grammar_.repeat(json_chars(grammar_, CharSet::all()), least, most));
  }
  return *content;
}

Result<Expr> SchemaCompiler::literals(const SchemaJson& flat, const std::string& path) {
  const auto types = types_of(flat);
  std::vector<Expr> options;
  std::optional<Dfa> allowed;
  if (has_any(flat, {"pattern", "format"})) {
    FATHOM_ASSIGN(const Expr text, string(flat, path));
    FATHOM_ASSIGN(allowed, content_dfa(grammar_, text));
  }
  for (const SchemaJson& value : flat["enum"]) {
    const bool whole = value.is_number_float() &&
                       std::find(types.begin(), types.end(), "integer") != types.end() &&
                       value.get<double>() == std::floor(value.get<double>());
    if (!has_type(value, types) && !whole) continue;
    FATHOM_ASSIGN(const Expr option, literal_in(value, flat, allowed, path));
    options.push_back(option);
  }
  const Expr result = grammar_.choice(options);
  if (result == grammar_.nothing()) {
    return schema_error(schema_path(path, "enum"),
                        "expected a value that the schema's other keywords allow, got none");
  }
  return result;
}

// The value, or nothing if keywords beside the enum do not allow it.
Result<Expr> SchemaCompiler::literal_in(const SchemaJson& value, const SchemaJson& flat,
                                        const std::optional<Dfa>& allowed,
                                        const std::string& path) {
  if (value.is_number()) {
    const double number = value.get<double>();
    const auto limit = [&](const char* keyword) { return flat[keyword].get<double>(); };
    const bool fits = (!flat.contains("minimum") || number >= limit("minimum")) &&
                      (!flat.contains("maximum") || number <= limit("maximum")) &&
                      (!flat.contains("exclusiveMinimum") || number > limit("exclusiveMinimum")) &&
                      (!flat.contains("exclusiveMaximum") || number < limit("exclusiveMaximum")) &&
                      (!flat.contains("multipleOf") || std::fmod(number, limit("multipleOf")) == 0);
    return fits ? literal(value) : grammar_.nothing();
  }
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    const size_t length = code_points(text);
    if (length < schema_count(flat, "minLength", 0) ||
        length > schema_count(flat, "maxLength", kUnbounded)) {
      return grammar_.nothing();
    }
    const bool fits = !allowed.has_value() || matches(*allowed, json_quoted(text));
    return fits ? literal(value) : grammar_.nothing();
  }
  const bool narrowed =
      (value.is_object() &&
       has_any(flat, {"properties", "patternProperties", "additionalProperties", "propertyNames",
                      "required", "minProperties", "maxProperties"})) ||
      (value.is_array() && has_any(flat, {"prefixItems", "items", "minItems", "maxItems"}));
  if (narrowed) {
    return schema_error(schema_path(path, "enum"),
                        "expected no keywords for objects or arrays beside an enum of some",
                        ErrorCode::kUnsupported);
  }
  return literal(value);
}

// Recurses once a level of the value, which is no deeper than the schema's text may be.
Expr SchemaCompiler::literal(const SchemaJson& value) {
  if (value.is_string()) return grammar_.literal(json_quoted(value.get<std::string>()));
  if (!value.is_structured()) return grammar_.literal(value.dump());
  const char* open = value.is_object() ? "{" : "[";
  const char* close = value.is_object() ? "}" : "]";
  if (value.empty()) return json_.empty_brackets(open, close);
  std::vector<Expr> parts;
  for (const auto& [name, item] : value.items()) {
    if (!parts.empty()) parts.push_back(json_.comma());
    if (value.is_object()) {
      parts.push_back(grammar_.literal(json_quoted(name) + ":"));
      parts.push_back(json_.space());
    }
    parts.push_back(literal(item));
  }
  return json_.bracketed(open, grammar_.sequence(parts), close);
}

}  // namespace fathom::grammar
