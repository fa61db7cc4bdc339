#include "grammar/schema/merge.h"

#include <algorithm>
#include <numeric>

#include "grammar/schema/types.h"

namespace fathom::grammar {
namespace {

const SchemaJson kAny = true;

const SchemaJson& get(const SchemaJson& schema, const char* keyword,
                      const SchemaJson& otherwise = kAny) {
  const auto found = schema.find(keyword);
  return found == schema.end() ? otherwise : *found;
}

// The most pairs of values of the two schemas that are compared.
uint64_t compared_values(const SchemaJson& a, const SchemaJson& b) {
  uint64_t pairs = a.size() * b.size();
  for (const auto& [name, value] : a.items()) {
    const auto other = b.find(name);
    if (other != b.end() && value.is_structured()) pairs += value.size() * other->size();
  }
  // Merged properties are looked up among those before them.
  if (a.contains("properties") && b.contains("properties")) {
    const uint64_t all = a["properties"].size() + b["properties"].size();
    pairs += all * all;
  }
  return pairs;
}

class Merger {
 public:
  Merger(const SchemaJson& a, const SchemaJson& b, const std::string& path)
      : a_(a), b_(b), path_(path), result_(a) {}

  Result<std::optional<SchemaJson>> run() {
    FATHOM_TRY(objects());
    arrays();
    for (const auto& [name, value] : b_.items()) {
      const std::string key = name;
      if (is_done_before(key)) continue;
      if (!a_.contains(key)) {
        result_[key] = value;
        continue;
      }
      FATHOM_TRY(one(key, a_.at(key), value));
    }
    const bool impossible = (result_.contains("type") && result_["type"].empty()) ||
                            (result_.contains("enum") && result_["enum"].empty());
    if (impossible) return std::optional<SchemaJson>();
    return std::optional(std::move(result_));
  }

 private:
  static bool is_done_before(const std::string& key) {
    return key == "properties" || key == "patternProperties" || key == "additionalProperties" ||
           key == "prefixItems" || key == "items";
  }

  Status one(const std::string& key, const SchemaJson& x, const SchemaJson& y) {
    if (key == "type") {
      result_[key] = common_types(x, y);
    } else if (key == "enum") {
      result_[key] = SchemaJson::array();
      for (const SchemaJson& value : x) {
        if (std::find(y.begin(), y.end(), value) != y.end()) result_[key].push_back(value);
      }
    } else if (key == "required" || key == "pattern" || key == "format") {
      for (const SchemaJson& value : y) {
        if (std::find(x.begin(), x.end(), value) == x.end()) result_[key].push_back(value);
      }
    } else if (key.starts_with("min") || key == "exclusiveMinimum") {
      result_[key] = x < y ? y : x;
    } else if (key.starts_with("max") || key == "exclusiveMaximum") {
      result_[key] = x < y ? x : y;
    } else if (key == "propertyNames") {
      result_[key] = both_schemas(x, y);
    } else if (key == "uniqueItems") {
      result_[key] = x.get<bool>() || y.get<bool>();
    } else if (key == "multipleOf" && x.is_number_unsigned() && y.is_number_unsigned() && x > 0 &&
               y > 0 && x < 1'000'000 && y < 1'000'000) {
      result_[key] = std::lcm(x.get<uint64_t>(), y.get<uint64_t>());
    } else if (x != y) {
      return schema_error(schema_path(path_, key),
                          "expected one " + key + ", got two that cannot be merged",
                          ErrorCode::kUnsupported);
    }
    return {};
  }

  static SchemaJson common_types(const SchemaJson& x, const SchemaJson& y) {
    const auto has = [](const SchemaJson& types, const char* type) {
      return std::find(types.begin(), types.end(), type) != types.end();
    };
    SchemaJson result = SchemaJson::array();
    for (const char* type : {"object", "array", "string", "number", "integer", "boolean", "null"}) {
      const bool is_integer = std::string_view(type) == "integer";
      const bool in_x = has(x, type) || (is_integer && has(x, "number"));
      const bool in_y = has(y, type) || (is_integer && has(y, "number"));
      if (in_x && in_y && !(is_integer && has(result, "number"))) result.push_back(type);
    }
    return result;
  }

  // A property must be valid for both sides, each of which declares it or has it as an additional
  // one.
  Status objects() {
    const bool patterns = a_.contains("patternProperties") || b_.contains("patternProperties");
    const auto says = [](const SchemaJson& schema) {
      return schema.contains("properties") || schema.contains("patternProperties") ||
             schema.contains("additionalProperties");
    };
    if (!says(b_)) return {};
    if (!says(a_)) {
      for (const char* key : {"properties", "patternProperties", "additionalProperties"}) {
        if (b_.contains(key)) result_[key] = b_[key];
      }
      return {};
    }
    if (patterns) {
      return schema_error(schema_path(path_, "patternProperties"),
                          "expected no patternProperties where properties are merged, got some",
                          ErrorCode::kUnsupported);
    }
    const SchemaJson none = SchemaJson::object();
    const SchemaJson& mine = get(a_, "properties", none);
    const SchemaJson& theirs = get(b_, "properties", none);
    const SchemaJson& my_rest = get(a_, "additionalProperties");
    const SchemaJson& their_rest = get(b_, "additionalProperties");
    SchemaJson merged = SchemaJson::object();
    for (const auto& [name, schema] : mine.items()) {
      const auto other = theirs.find(name);
      merged[name] = both_schemas(schema, other == theirs.end() ? their_rest : *other);
    }
    for (const auto& [name, schema] : theirs.items()) {
      if (!mine.contains(name)) merged[name] = both_schemas(my_rest, schema);
    }
    if (!merged.empty()) result_["properties"] = std::move(merged);
    if (a_.contains("additionalProperties") || b_.contains("additionalProperties")) {
      result_["additionalProperties"] = both_schemas(my_rest, their_rest);
    }
    return {};
  }

  void arrays() {
    const SchemaJson none = SchemaJson::array();
    const SchemaJson& mine = get(a_, "prefixItems", none);
    const SchemaJson& theirs = get(b_, "prefixItems", none);
    SchemaJson merged = SchemaJson::array();
    for (size_t i = 0; i < std::max(mine.size(), theirs.size()); ++i) {
      merged.push_back(both_schemas(i < mine.size() ? mine[i] : get(a_, "items"),
                                    i < theirs.size() ? theirs[i] : get(b_, "items")));
    }
    if (!merged.empty()) result_["prefixItems"] = std::move(merged);
    if (a_.contains("items") || b_.contains("items")) {
      result_["items"] = both_schemas(get(a_, "items"), get(b_, "items"));
    }
  }

  const SchemaJson& a_;
  const SchemaJson& b_;
  const std::string& path_;
  SchemaJson result_;
};

}  // namespace

Result<std::optional<SchemaJson>> merge_schemas(const SchemaJson& a, const SchemaJson& b,
                                                const std::string& path, WorkBudget& budget) {
  // Members are looked up one by one, and so are the values of lists.
  const uint64_t weights[] = {json_weight(a), json_weight(b)};
  if (!budget.spend(weights[0] + weights[1] + compared_values(a, b) / 16)) {
    return schema_error(path, budget.error().message, budget.error().code);
  }
  return Merger(a, b, path).run();
}

}  // namespace fathom::grammar
