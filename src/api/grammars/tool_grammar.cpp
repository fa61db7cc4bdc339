#include "api/grammars/tool_grammar.h"

#include <nlohmann/json.hpp>

#include "grammar/automaton.h"
#include "grammar/schema/json_schema.h"

namespace fathom::api {

namespace {

using grammar::Expr;
using grammar::Grammar;

// Arguments are always an object, even if the schema does not say so.
Json object_schema(const Json* parameters) {
  if (parameters == nullptr) return {{"type", "object"}, {"properties", Json::object()}};
  for (const char* says : {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"}) {
    if (parameters->contains(says)) return *parameters;
  }
  Json schema = {{"type", "object"}};
  schema.update(*parameters);
  return schema;
}

// Whether the schema can be enforced and allows any arguments at all.
Status check_schema(const ToolSpec& tool, const std::shared_ptr<WorkBudget>& budget) {
  auto grammar = grammar::json_schema_grammar(tool.parameters, budget);
  if (!grammar) return grammar.error();
  const auto automaton = grammar::Automaton::build(*grammar);
  return automaton ? Status() : Status(automaton.error());
}

class CallBuilder {
 public:
  CallBuilder(const ToolRules& rules, const MarkerTable& markers, Grammar& grammar)
      : rules_(rules), markers_(markers), grammar_(grammar), checks_(grammar.budget().share(2)) {}

  Result<Expr> calls() {
    std::vector<Expr> options;
    for (const ToolSpec& tool : rules_.tools) {
      FATHOM_ASSIGN(const Expr arguments, arguments_of(tool));
      options.push_back(call(tool.name, arguments));
    }
    grammar_.budget().absorb(checks_);
    const auto rule = grammar_.add_rule("call");
    grammar_.define(rule, grammar_.choice(options));
    const Expr one = grammar_.call(rule);
    const bool fenced = rules_.form == ToolForm::kFenced;
    const Expr more = fenced ? grammar_.sequence({grammar_.literal("\n"), one}) : one;
    return grammar_.sequence({marker(Marker::kCallsBegin), one,
                              grammar_.repeat(more, 0, rules_.parallel ? grammar::kUnbounded : 0),
                              marker(Marker::kCallsEnd)});
  }

  // Text without the beginning of a call.
  Expr text() {
    const Expr any = grammar_.repeat(grammar_.chars(grammar::CharSet::all()), 0);
    if (markers_.is_token(Marker::kCallsBegin)) return any;
    return grammar_.difference(any, grammar_.sequence({any, marker(Marker::kCallsBegin), any}));
  }

 private:
  Expr marker(Marker which) { return grammar_.literal(markers_.grammar_text(which)); }

  Result<Expr> arguments_of(const ToolSpec& tool) {
    const auto share = std::make_shared<WorkBudget>(checks_.share(tool.strict ? 1 : 2));
    const Status usable = check_schema(tool, share);
    checks_.absorb(*share);
    if (usable) return grammar::json_schema_value(grammar_, tool.parameters);
    if (tool.strict) return at_field(usable.error(), tool.path);
    return as_far_as_possible(tool, usable.error());
  }

  Result<Expr> as_far_as_possible(const ToolSpec& tool, const Error& problem) {
    const auto note = [&](const std::string& text) {
      grammar_.add_note("tool " + tool.name + ": " + text);
    };
    const auto share = std::make_shared<WorkBudget>(checks_.share(2));
    auto rest = grammar::enforceable_schema(Grammar(share), tool.parameters);
    if (rest) rest->grammar.set_root("#", rest->value);
    const bool usable = rest && grammar::Automaton::build(rest->grammar);
    checks_.absorb(*share);
    if (!usable) {
      note("any object: " + problem.message);
      return grammar::json_object_value(grammar_);
    }
    for (const std::string& text : rest->notes) note(text);
    return grammar::json_schema_value(grammar_, rest->text);
  }

  Expr call(const std::string& name, Expr arguments) {
    const Expr separator = marker(Marker::kCallSeparator);
    const Expr begin = marker(Marker::kCallBegin);
    const Expr end = marker(Marker::kCallEnd);
    if (rules_.form == ToolForm::kPlain) {
      return grammar_.sequence({begin, grammar_.literal(name), separator, arguments, end});
    }
    return grammar_.sequence({begin, grammar_.literal("function"), separator,
                              grammar_.literal(name + "\n```json\n"), arguments,
                              grammar_.literal("\n```"), end});
  }

  const ToolRules& rules_;
  const MarkerTable& markers_;
  Grammar& grammar_;
  // Half of the request's budget; the other half is for what passed and is compiled together. No
  // tool that may fall back takes more than half of what those before it left.
  WorkBudget checks_;
};

}  // namespace

std::vector<ToolSpec> tool_specs(const Json& tools) {
  std::vector<ToolSpec> specs;
  for (size_t i = 0; i < tools.size(); ++i) {
    const Json& function = tools[i]["function"];
    const Json* strict = find_member(function, "strict");
    specs.push_back({.name = function["name"].get<std::string>(),
                     .parameters = schema_text(object_schema(find_member(function, "parameters"))),
                     .strict = strict != nullptr && *strict == true,
                     .path = key_path(index_path("tools", i), "function.parameters")});
  }
  return specs;
}

std::string ToolRules::key() const {
  Json parts = {"tools", static_cast<int>(form), forced, parallel};
  for (const ToolSpec& tool : tools) {
    parts.push_back({tool.name, tool.parameters, tool.strict, tool.path});
  }
  if (structure)
    parts.push_back({static_cast<int>(structure->source.kind), structure->source.text});
  return dump_json(parts);
}

Result<Grammar> tool_call_grammar(const ToolRules& rules, const MarkerTable& markers,
                                  std::shared_ptr<WorkBudget> budget) {
  Grammar grammar(std::move(budget));
  CallBuilder builder(rules, markers, grammar);
  FATHOM_ASSIGN(const Expr calls, builder.calls());
  if (rules.forced) {
    grammar.set_root("answer", calls);
  } else if (rules.structure) {
    FATHOM_ASSIGN(const Expr text, grammar::add_source(grammar, rules.structure->source));
    grammar.set_root("answer", grammar.choice({calls, text}));
  } else {
    grammar.set_root("answer", grammar.sequence({builder.text(), grammar.optional(calls)}));
  }
  return grammar;
}

}  // namespace fathom::api
