// A JSON schema as text, checked before anything is made of it: its size, its nesting, and that it
// only uses keywords we know, with values of the right kind.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/work_budget.h"

namespace fathom::grammar {

// Keeps the order of members: properties are generated in the schema's order.
using SchemaJson = nlohmann::ordered_json;

// Text or a part of it, with "#/path" in `where` and at the front of the message.
Error schema_error(const std::string& path, const std::string& message,
                   ErrorCode code = ErrorCode::kInvalidArgument);

// `path` and one more step, escaped as RFC 6901 asks for.
std::string schema_path(const std::string& path, std::string_view step);
std::string schema_path(const std::string& path, size_t index);

// Keywords that say nothing of what is valid: left out before schemas are compared or merged.
bool is_annotation(std::string_view keyword);

// How many values and keys there are in a value, text counted by length: what copying, comparing or
// writing it costs, in units of a WorkBudget or a little less.
uint64_t json_weight(const SchemaJson& value);

// Keywords that say what is valid, as far as they are supported.
bool is_keyword(std::string_view name);

class SchemaDocument {
 public:
  // `budget` outlives the document: looking things up is charged to it.
  static Result<SchemaDocument> parse(std::string_view text, WorkBudget& budget);

  WorkBudget& budget() const { return *budget_; }

  const SchemaJson& root() const { return root_; }
  // The schema that "#/$defs/name" and the like stand for. `path` names the $ref in errors.
  Result<const SchemaJson*> resolve(const std::string& reference, const std::string& path) const;

 private:
  explicit SchemaDocument(WorkBudget& budget) : budget_(&budget) {}

  WorkBudget* budget_;
  SchemaJson root_;
};

// Checks the keywords of one schema (not those of schemas within it).
Status check_keywords(const SchemaJson& schema, const std::string& path);

}  // namespace fathom::grammar
