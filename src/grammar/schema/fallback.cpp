// Schemas that need not be enforced in full: unsupported parts are removed and noted.
#include <array>

#include "grammar/schema/document.h"
#include "grammar/schema/json_schema.h"

namespace fathom::grammar {
namespace {

using Pointer = SchemaJson::json_pointer;
using Notes = std::vector<std::string>;

// How many errors of the compiler are worked around; each costs a compilation up to that place.
constexpr int kMaxRounds = 16;
constexpr size_t kMaxNotes = 16;

// Keywords that hold schemas; a single one, a list, or an object of them.
constexpr std::array<std::string_view, 8> kOfSchemas = {
    "additionalProperties", "propertyNames", "items", "additionalItems", "allOf", "anyOf", "oneOf",
    "prefixItems"};
constexpr std::array<std::string_view, 5> kOfNamedSchemas = {"properties", "patternProperties",
                                                             "$def", "$defs", "definitions"};

template <size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  for (const auto one : names) {
    if (one == name) return true;
  }
  return false;
}

// Removes unknown keywords in one pass, for there may be many.
void take_out_unknown(SchemaJson& schema, const std::string& path, Notes& notes) {
  if (schema.is_array()) {
    for (size_t i = 0; i < schema.size(); ++i) {
      take_out_unknown(schema[i], schema_path(path, i), notes);
    }
  }
  if (!schema.is_object()) return;
  std::vector<std::string> unknown;
  for (auto& [name, value] : schema.items()) {
    const std::string where = schema_path(path, name);
    if (contains(kOfSchemas, name)) {
      take_out_unknown(value, where, notes);
    } else if (contains(kOfNamedSchemas, name) && value.is_object()) {
      for (auto& [key, one] : value.items()) take_out_unknown(one, schema_path(where, key), notes);
    } else if (!is_keyword(name) && !is_annotation(name)) {
      unknown.push_back(name);
      notes.push_back(where + ": is not supported");
    }
  }
  for (const std::string& name : unknown) schema.erase(name);
}

bool combines(std::string_view keyword) {
  return keyword == "allOf" || keyword == "anyOf" || keyword == "oneOf";
}

// Takes out the keyword at `place` ("#/properties/a/format"), or the one that combines schemas in
// the course of which the error came up. A oneOf of overlapping schemas becomes an anyOf. False if
// there is no such keyword.
bool take_out_at(SchemaJson& root, Pointer place) {
  if (!root.contains(place)) {
    place = place.parent_pointer();
    if (place.empty() || !root.contains(place) || !combines(place.back())) return false;
  }
  const std::string keyword = place.back();
  SchemaJson& schema = root[place.parent_pointer()];
  if (!schema.is_object()) return false;
  if (keyword == "oneOf" && !schema.contains("anyOf")) schema["anyOf"] = schema["oneOf"];
  schema.erase(keyword);
  return true;
}

bool take_out(SchemaJson& root, const std::string& where) {
  if (!where.starts_with("#/")) return false;
  try {
    return take_out_at(root, Pointer(where.substr(1)));
  } catch (const SchemaJson::exception&) {
    return false;  // the path goes on from a $ref that is spelled in another way
  }
}

// Values of the schema's type, if it has one: the last resort when nothing else can be enforced.
SchemaJson type_alone(const SchemaJson& schema) {
  SchemaJson rest = SchemaJson::object();
  if (schema.is_object() && schema.contains("type")) rest["type"] = schema["type"];
  return rest;
}

}  // namespace

Result<EnforceableSchema> enforceable_schema(Grammar like, std::string_view schema) {
  EnforceableSchema made{like, 0, std::string(schema), {}};
  auto value = json_schema_value(made.grammar, schema);
  SchemaJson rest;
  size_t unknown = 0;
  for (int round = 0; !value && value.error().code == ErrorCode::kUnsupported; ++round) {
    if (round == 0) {
      rest = SchemaJson::parse(schema);
      take_out_unknown(rest, "#", made.notes);
      unknown = made.notes.size();
    }
    if (round > 0 || unknown == 0) {
      made.notes.push_back(value.error().message);
      if (round == kMaxRounds || !take_out(rest, value.error().where)) rest = type_alone(rest);
    }
    made.text = rest.dump();
    made.grammar = like;
    value = json_schema_value(made.grammar, made.text);
  }
  if (!value) return value.error();
  made.value = *value;
  if (made.notes.size() > kMaxNotes) {
    const size_t more = made.notes.size() - kMaxNotes;
    made.notes.resize(kMaxNotes);
    made.notes.push_back("and " + std::to_string(more) + " more");
  }
  return made;
}

}  // namespace fathom::grammar
