#include "grammar/schema/constants.h"

#include <algorithm>
#include <map>
#include <string>

#include "grammar/schema/types.h"

namespace fathom::grammar {
namespace {

// By value: whole numbers equal their floats.
using Owners = std::map<SchemaJson, size_t>;

bool is_constant(const SchemaJson& schema) {
  if (!schema.is_object() || schema.contains("const") == schema.contains("enum")) return false;
  for (const auto& [name, value] : schema.items()) {
    const std::string key = name;
    if (!is_annotation(key) && key != "const" && key != "enum" && key != "type") return false;
  }
  return true;
}

// Of a schema that may say `const` or `enum`; null if it says neither.
const SchemaJson* constants_of(const SchemaJson& schema, SchemaJson& one) {
  if (!schema.is_object()) return nullptr;
  if (schema.contains("const")) return &(one = SchemaJson::array({schema["const"]}));
  return schema.contains("enum") && schema["enum"].is_array() ? &schema["enum"] : nullptr;
}

// The values of a constant schema that its type allows.
SchemaJson values_of(const SchemaJson& schema) {
  SchemaJson one;
  SchemaJson values = *constants_of(schema, one);
  if (!schema.contains("type")) return values;
  const SchemaJson& type = schema["type"];
  const auto types = type.is_string() ? std::vector<std::string>{type.get<std::string>()}
                                      : type.get<std::vector<std::string>>();
  SchemaJson allowed = SchemaJson::array();
  for (const SchemaJson& value : values) {
    if (has_type(value, types)) allowed.push_back(value);
  }
  return allowed;
}

bool requires_property(const SchemaJson& flat, const std::string& name) {
  if (!flat.contains("required")) return false;
  const SchemaJson& required = flat["required"];
  return std::find(required.begin(), required.end(), name) != required.end();
}

bool is_object_only(const SchemaJson& flat) {
  return flat.contains("type") && flat["type"] == SchemaJson::array({"object"});
}

bool property_tells_apart(const std::vector<std::vector<SchemaJson>>& branches,
                          const std::string& name) {
  Owners owners;
  for (size_t branch = 0; branch < branches.size(); ++branch) {
    for (const SchemaJson& flat : branches[branch]) {
      if (!is_object_only(flat) || !requires_property(flat, name)) return false;
      if (!flat.contains("properties") || !flat["properties"].contains(name)) return false;
      SchemaJson one;
      const SchemaJson* values = constants_of(flat["properties"][name], one);
      if (values == nullptr) return false;
      for (const SchemaJson& value : *values) {
        if (owners.try_emplace(value, branch).first->second != branch) return false;
      }
    }
  }
  return true;
}

}  // namespace

Error overlap_error(const std::string& path, size_t one, size_t other) {
  return schema_error(path,
                      "expected schemas that exclude each other by type, by enum or const, or by a "
                      "required property, got " +
                          std::to_string(one) + " and " + std::to_string(other) +
                          ", which may both be valid; use anyOf if that is meant",
                      ErrorCode::kUnsupported);
}

Result<std::vector<Alternative>> join_constants(const SchemaJson& list, bool exclusive,
                                                const std::string& path) {
  std::vector<Alternative> result;
  Owners owners;
  SchemaJson values = SchemaJson::array();
  size_t place = 0;  // of the joined ones, behind which it stands
  for (size_t i = 0; i < list.size(); ++i) {
    SchemaJson own;
    if (is_constant(list[i])) {
      FATHOM_TRY(check_keywords(list[i], schema_path(path, i)));
      own = values_of(list[i]);
    }
    if (own.empty()) {
      result.push_back({i, list[i]});
      continue;
    }
    if (values.empty()) {
      place = result.size();
      result.push_back({i, SchemaJson()});
    }
    for (SchemaJson& value : own) {
      const auto [owner, is_new] = owners.try_emplace(value, i);
      if (is_new) values.push_back(std::move(value));
      if (exclusive && owner->second != i) return overlap_error(path, owner->second, i);
    }
  }
  if (!values.empty()) result[place].schema = {{"enum", std::move(values)}};
  return result;
}

bool constants_tell_apart(const std::vector<std::vector<SchemaJson>>& branches) {
  const auto first = std::find_if(branches.begin(), branches.end(),
                                  [](const auto& flats) { return !flats.empty(); });
  if (first == branches.end() || !first->front().contains("required")) return false;
  const SchemaJson& names = first->front()["required"];
  return std::any_of(names.begin(), names.end(), [&](const SchemaJson& name) {
    return property_tells_apart(branches, name.get<std::string>());
  });
}

}  // namespace fathom::grammar
