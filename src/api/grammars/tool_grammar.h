// Tool calls as grammars: a model's own form of a call, with the tools' names and arguments that
// are valid by their schemas.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/schema/structure.h"
#include "api/text/markers.h"
#include "base/work_budget.h"
#include "grammar/rules/grammar.h"

namespace fathom::api {

// How a model writes its calls (tool_parser.h).
enum class ToolForm {
  kPlain,   // V3.1: NAME<｜tool▁sep｜>{JSON}
  kFenced,  // V3, R1: function<｜tool▁sep｜>NAME\n```json\n{JSON}\n```
};

struct ToolSpec {
  std::string name;
  std::string parameters;  // a JSON schema
  bool strict = false;
  std::string path;  // "tools[2].function.parameters"
};

// Of a checked array of tools.
std::vector<ToolSpec> tool_specs(const Json& tools);

struct ToolRules {
  std::vector<ToolSpec> tools;  // that may be called; at least one
  ToolForm form = ToolForm::kPlain;
  bool forced = false;                 // nothing but calls
  bool parallel = true;                // more than one
  std::optional<Structure> structure;  // without calls: what the text is; any text by default

  // Equal rules have equal keys.
  std::string key() const;
};

// Arguments of a strict tool keep to its schema, those of others as far as it can be kept to within
// half of what `budget` has left; what is left out becomes notes of the grammar. Errors: a strict
// tool's schema or a structure that cannot be.
Result<grammar::Grammar> tool_call_grammar(
    const ToolRules& rules, const MarkerTable& markers,
    std::shared_ptr<WorkBudget> budget = std::make_shared<WorkBudget>());

}  // namespace fathom::api
