#include "grammar/schema/types.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace fathom::grammar {
namespace {

struct Family {
  const char* type;
  std::array<const char*, 7> keywords;
};
constexpr std::array<Family, 4> kFamilies = {{
    {"object",
     {"properties", "patternProperties", "additionalProperties", "propertyNames", "required",
      "minProperties", "maxProperties"}},
    {"array", {"prefixItems", "items", "minItems", "maxItems", "uniqueItems"}},
    {"string", {"minLength", "maxLength", "pattern", "format"}},
    {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}},
}};

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

SchemaJson both_schemas(const SchemaJson& x, const SchemaJson& y) {
  if (x == SchemaJson(true) || x == y) return y;
  if (y == SchemaJson(true)) return x;
  if (x == SchemaJson(false) || y == SchemaJson(false)) return false;
  return {{"allOf", SchemaJson::array({x, y})}};
}

std::vector<std::string> types_of(const SchemaJson& flat) {
  if (flat.contains("type")) {
    auto types = flat["type"].get<std::vector<std::string>>();
    if (contains(types, "number")) std::erase(types, "integer");
    return types;
  }
  std::vector<std::string> types;
  for (const Family& family : kFamilies) {
    const bool named = std::any_of(
        family.keywords.begin(), family.keywords.end(),
        [&](const char* keyword) { return keyword != nullptr && flat.contains(keyword); });
    if (named) types.emplace_back(family.type);
  }
  if (types.empty() || flat.contains("enum")) {
    return {"object", "array", "string", "number", "boolean", "null"};
  }
  return types;
}

bool has_type(const SchemaJson& value, const std::vector<std::string>& types) {
  switch (value.type()) {
    case SchemaJson::value_t::object:
      return contains(types, "object");
    case SchemaJson::value_t::array:
      return contains(types, "array");
    case SchemaJson::value_t::string:
      return contains(types, "string");
    case SchemaJson::value_t::boolean:
      return contains(types, "boolean");
    case SchemaJson::value_t::null:
      return contains(types, "null");
    case SchemaJson::value_t::number_integer:
    case SchemaJson::value_t::number_unsigned:
      return contains(types, "integer") || contains(types, "number");
    default:
      return contains(types, "number");
  }
}

bool may_be(const SchemaJson& flat, const std::string& type) {
  SchemaJson written = SchemaJson::object();
  if (flat.contains("type")) written["type"] = flat["type"];
  const auto types = types_of(written);
  if (!contains(types, type) && !(type == "number" && contains(types, "integer"))) return false;
  if (!flat.contains("enum")) return true;
  return std::any_of(flat["enum"].begin(), flat["enum"].end(),
                     [&](const SchemaJson& value) { return has_type(value, {type}); });
}

}  // namespace fathom::grammar
