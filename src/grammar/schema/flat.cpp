#include "grammar/schema/flat.h"

#include <algorithm>

#include "grammar/rules/limits.h"
#include "grammar/schema/constants.h"
#include "grammar/schema/merge.h"
#include "grammar/schema/types.h"

namespace fathom::grammar {
namespace {

constexpr size_t kMaxAlternatives = 1024;
constexpr size_t kMaxMergedBytes = size_t{32} << 20;
// Beyond these limits schemas count as overlapping.
constexpr int kMaxComparedDepth = 6;
constexpr size_t kMaxCompared = 20'000;

SchemaJson list_of(const SchemaJson& value) {
  return value.is_array() ? value : SchemaJson::array({value});
}

// The schema's own keywords in the form of flat.h, without what combines schemas.
SchemaJson own_keywords(const SchemaJson& schema) {
  SchemaJson flat = SchemaJson::object();
  for (const auto& [name, value] : schema.items()) {
    const std::string key = name;
    if (is_annotation(key) || key == "$ref" || key == "allOf" || key == "anyOf" || key == "oneOf" ||
        key == "nullable" || key == "additionalItems") {
      continue;
    }
    if (key == "type" || key == "pattern" || key == "format") {
      flat[key] = list_of(value);
    } else if (key == "const") {
      flat["enum"] = SchemaJson::array({value});
    } else if (key == "items" && value.is_array()) {
      if (!value.empty()) flat["prefixItems"] = value;
      if (schema.contains("additionalItems")) flat["items"] = schema["additionalItems"];
    } else if (key != "enum" || !schema.contains("const")) {
      flat[key] = value;
    }
  }
  const bool nullable = schema.contains("nullable") && schema["nullable"].get<bool>();
  if (nullable && flat.contains("type")) flat["type"].push_back("null");
  return flat;
}

// Whether every number for `a` is less than every one for `b`.
bool below(const SchemaJson& a, const SchemaJson& b) {
  for (const char* high : {"maximum", "exclusiveMaximum"}) {
    for (const char* low : {"minimum", "exclusiveMinimum"}) {
      if (!a.contains(high) || !b.contains(low)) continue;
      const bool touches =
          std::string_view(high) == "maximum" && std::string_view(low) == "minimum";
      if (a[high] < b[low] || (a[high] == b[low] && !touches)) return true;
    }
  }
  return false;
}

}  // namespace

Result<std::vector<SchemaJson>> SchemaFlattener::flatten(const SchemaJson& schema,
                                                         const std::string& path) {
  return flatten(schema, path, 0);
}

Result<std::vector<SchemaJson>> SchemaFlattener::flatten(const SchemaJson& schema,
                                                         const std::string& path, int depth) {
  if (depth > kMaxSourceDepth) {
    return schema_error(path, "expected a schema that ends, got references to itself",
                        ErrorCode::kResourceExhausted);
  }
  if (schema.is_boolean()) {
    return schema.get<bool>() ? std::vector<SchemaJson>{SchemaJson::object()}
                              : std::vector<SchemaJson>();
  }
  FATHOM_TRY(spend(json_weight(schema), path));
  FATHOM_TRY(check_keywords(schema, path));
  std::vector<SchemaJson> result = {own_keywords(schema)};

  const auto narrow = [&](const std::vector<SchemaJson>& others,
                          const std::string& where) -> Result<std::vector<SchemaJson>> {
    std::vector<SchemaJson> merged;
    for (const SchemaJson& mine : result) {
      for (const SchemaJson& other : others) {
        FATHOM_ASSIGN(auto both, merge_schemas(mine, other, where, document_.budget()));
        if (!both.has_value()) continue;
        const size_t bytes = both->dump().size();
        merged_bytes_ += bytes;
        document_.budget().spend(bytes / 16, bytes * 8);
        merged.push_back(std::move(*both));
        if (merged.size() > kMaxAlternatives || merged_bytes_ > kMaxMergedBytes) {
          return schema_error(where, "expected fewer combinations of alternatives",
                              ErrorCode::kResourceExhausted);
        }
      }
    }
    return merged;
  };
  if (schema.contains("$ref")) {
    const std::string where = schema_path(path, "$ref");
    FATHOM_ASSIGN(const SchemaJson* target,
                  document_.resolve(schema["$ref"].get<std::string>(), where));
    FATHOM_ASSIGN(const auto flats, flatten(*target, schema["$ref"].get<std::string>(), depth + 1));
    FATHOM_ASSIGN(result, narrow(flats, where));
  }
  if (schema.contains("allOf")) {
    const std::string where = schema_path(path, "allOf");
    for (size_t i = 0; i < schema["allOf"].size(); ++i) {
      FATHOM_ASSIGN(const auto flats,
                    flatten(schema["allOf"][i], schema_path(where, i), depth + 1));
      FATHOM_ASSIGN(result, narrow(flats, where));
    }
  }
  for (const char* keyword : {"anyOf", "oneOf"}) {
    if (!schema.contains(keyword)) continue;
    const std::string where = schema_path(path, keyword);
    const bool exclusive = std::string_view(keyword) == "oneOf";
    FATHOM_ASSIGN(const auto alternatives, join_constants(schema[keyword], exclusive, where));
    std::vector<std::vector<SchemaJson>> branches;
    std::vector<SchemaJson> all;
    for (const Alternative& one : alternatives) {
      FATHOM_ASSIGN(const auto flats,
                    flatten(one.schema, schema_path(where, one.index), depth + 1));
      FATHOM_ASSIGN(auto narrowed, narrow(flats, where));
      all.insert(all.end(), narrowed.begin(), narrowed.end());
      branches.push_back(std::move(narrowed));
    }
    if (exclusive && !constants_tell_apart(branches)) {
      FATHOM_ASSIGN(const auto overlap, find_overlap(branches, where));
      if (overlap) {
        return overlap_error(where, alternatives[overlap->first].index,
                             alternatives[overlap->second].index);
      }
    }
    if (all.size() > kMaxAlternatives) {
      return schema_error(where, "expected fewer combinations of alternatives",
                          ErrorCode::kResourceExhausted);
    }
    result = std::move(all);
  }
  return result;
}

Status SchemaFlattener::spend(uint64_t units, const std::string& path) {
  WorkBudget& budget = document_.budget();
  if (budget.spend(units)) return {};
  return schema_error(path, budget.error().message, budget.error().code);
}

Result<std::optional<std::pair<size_t, size_t>>> SchemaFlattener::find_overlap(
    const std::vector<std::vector<SchemaJson>>& branches, const std::string& path) {
  for (size_t i = 0; i < branches.size(); ++i) {
    for (size_t j = i + 1; j < branches.size(); ++j) {
      for (const SchemaJson& a : branches[i]) {
        for (const SchemaJson& b : branches[j]) {
          FATHOM_ASSIGN(const bool apart, disjoint(a, b, path));
          if (!apart) return std::optional(std::pair(i, j));
        }
      }
    }
  }
  return std::optional<std::pair<size_t, size_t>>();
}

Result<bool> SchemaFlattener::disjoint(const SchemaJson& a, const SchemaJson& b,
                                       const std::string& path) {
  if (++compared_ > kMaxCompared) return false;
  const auto values = [](const SchemaJson& flat) {
    return flat.contains("enum") ? flat["enum"].size() : 1;
  };
  FATHOM_TRY(spend(4 + values(a) * values(b) / 8, path));
  if (a.contains("enum") && b.contains("enum")) {
    return std::none_of(a["enum"].begin(), a["enum"].end(), [&](const SchemaJson& x) {
      return std::find(b["enum"].begin(), b["enum"].end(), x) != b["enum"].end();
    });
  }
  for (const std::string type : {"array", "boolean", "null", "string", "number", "object"}) {
    if (!may_be(a, type) || !may_be(b, type)) continue;
    if (type == "number" && (below(a, b) || below(b, a))) continue;
    if (type != "object") return false;
    FATHOM_ASSIGN(const bool apart, disjoint_objects(a, b, path));
    if (!apart) return false;
  }
  return true;
}

// Whether a property that one of them requires cannot be valid for both.
Result<bool> SchemaFlattener::disjoint_objects(const SchemaJson& a, const SchemaJson& b,
                                               const std::string& path) {
  for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    if (!one->contains("required")) continue;
    for (const SchemaJson& name : one->at("required")) {
      FATHOM_ASSIGN(const bool apart,
                    disjoint_members(*one, *other, name.get<std::string>(), path));
      if (apart) return true;
    }
  }
  return false;
}

Result<bool> SchemaFlattener::disjoint_members(const SchemaJson& one, const SchemaJson& other,
                                               const std::string& name, const std::string& path) {
  const auto member = [&](const SchemaJson& flat) -> SchemaJson {
    if (flat.contains("properties") && flat["properties"].contains(name)) {
      return flat["properties"][name];
    }
    const bool open = flat.contains("patternProperties") || !flat.contains("additionalProperties");
    return open ? SchemaJson(true) : flat["additionalProperties"];
  };
  if (compared_depth_ >= kMaxComparedDepth) return false;
  ++compared_depth_;
  const std::string where = schema_path(path, name);
  bool apart = true;
  auto in_one = flatten(member(one), where);
  auto in_other = flatten(member(other), where);
  Status problem = !in_one     ? Status(in_one.error())
                   : !in_other ? Status(in_other.error())
                               : Status();
  for (size_t i = 0; problem && apart && i < in_one->size(); ++i) {
    for (size_t j = 0; problem && apart && j < in_other->size(); ++j) {
      const auto result = disjoint((*in_one)[i], (*in_other)[j], path);
      if (!result) problem = result.error();
      apart = result.ok() && *result;
    }
  }
  --compared_depth_;
  FATHOM_TRY(problem);
  return apart;
}

}  // namespace fathom::grammar
