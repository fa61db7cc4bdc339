#include "grammar/schema/schema_compiler.h"

#include <algorithm>

#include "grammar/rules/limits.h"
#include "grammar/schema/json_schema.h"
#include "grammar/schema/types.h"

namespace fathom::grammar {
namespace {

// Text of all schemas that became rules, merged ones included.
constexpr size_t kMaxSchemaTextBytes = size_t{32} << 20;

SchemaJson without_annotations(const SchemaJson& schema) {
  if (!schema.is_object()) return schema;
  SchemaJson result = SchemaJson::object();
  for (const auto& [name, value] : schema.items()) {
    if (!is_annotation(name)) result[name] = value;
  }
  return result;
}

// The only keyword there is, if it is `keyword`.
bool only_has(const SchemaJson& schema, const char* keyword) {
  return schema.is_object() && schema.size() == 1 && schema.contains(keyword);
}

}  // namespace

Result<Expr> SchemaCompiler::run() {
  const RuleId root = grammar_.add_rule("#");
  FATHOM_ASSIGN(const Expr start, value(document_.root(), "#"));
  grammar_.define(root, start);
  for (; !queue_.empty(); queue_.pop_front()) {
    const Job& job = queue_.front();
    FATHOM_TRY(spend(json_weight(job.schema), job.path));
    const auto expr = body(job.schema, job.path);
    FATHOM_TRY(spend(0, job.path));
    if (!expr) return expr.error();
    grammar_.define(job.rule, *expr);
    if (grammar_.too_large() || schema_bytes_ > kMaxSchemaTextBytes) {
      return schema_error(job.path, "expected a smaller schema", ErrorCode::kResourceExhausted);
    }
  }
  return grammar_.call(root);
}

// Expressions are charged where they are made; this adds the place in the schema to the error.
Status SchemaCompiler::spend(uint64_t units, const std::string& path) {
  WorkBudget& budget = grammar_.budget();
  if (budget.spend(units)) return {};
  return schema_error(path, budget.error().message, budget.error().code);
}

Result<Expr> SchemaCompiler::value(const SchemaJson& schema, const std::string& path) {
  FATHOM_TRY(spend(json_weight(schema) * 2, path));
  SchemaJson bare = without_annotations(schema);
  if (bare == SchemaJson(true) || bare == SchemaJson::object()) return json_.value();
  if (bare == SchemaJson(false)) return grammar_.nothing();
  if (only_has(bare, "type") && bare["type"].is_string()) {
    const std::string type = bare["type"];
    if (type == "string") return json_.string();
    if (type == "integer") return json_.integer();
    if (type == "number") return json_.number();
    if (type == "null") return grammar_.literal("null");
  }
  if (only_has(bare, "$ref") && bare["$ref"].is_string()) {
    // Straight to the rule of what is referred to, unless that refers further.
    const std::string reference = bare["$ref"];
    FATHOM_ASSIGN(const SchemaJson* target,
                  document_.resolve(reference, schema_path(path, "$ref")));
    SchemaJson bare_target = without_annotations(*target);
    if (!only_has(bare_target, "$ref") && bare_target.is_object()) {
      return rule_for(std::move(bare_target), reference);
    }
  }
  return rule_for(std::move(bare), path);
}

Expr SchemaCompiler::rule_for(SchemaJson schema, const std::string& path) {
  std::string content = schema.dump();
  schema_bytes_ += content.size();
  grammar_.budget().spend(content.size() / 16, content.size() * 8);
  const auto [place, is_new] = rules_.try_emplace(std::move(content), 0);
  if (is_new) {
    place->second = grammar_.add_rule(path);
    queue_.push_back({place->second, std::move(schema), path});
  }
  return grammar_.call(place->second);
}

Result<Expr> SchemaCompiler::body(const SchemaJson& schema, const std::string& path) {
  // Alternatives that stand alone keep their own rules.
  if (only_has(schema, "anyOf")) {
    FATHOM_TRY(check_keywords(schema, path));
    std::vector<Expr> options;
    for (size_t i = 0; i < schema["anyOf"].size(); ++i) {
      FATHOM_ASSIGN(const Expr option,
                    value(schema["anyOf"][i], schema_path(schema_path(path, "anyOf"), i)));
      options.push_back(option);
    }
    return grammar_.choice(options);
  }
  FATHOM_ASSIGN(const auto flats, flattener_.flatten(schema, path));
  std::vector<Expr> options;
  for (const SchemaJson& one : flats) {
    auto option = flat(one, path);
    // Of several combinations some may contradict themselves.
    const bool contradiction = !option && option.error().code == ErrorCode::kInvalidArgument;
    if (contradiction && flats.size() > 1) continue;
    if (!option) return option.error();
    options.push_back(*option);
  }
  return grammar_.choice(options);
}

Result<Expr> SchemaCompiler::flat(const SchemaJson& schema, const std::string& path) {
  if (schema.contains("enum")) return literals(schema, path);
  std::vector<Expr> options;
  for (const std::string& type : types_of(schema)) {
    FATHOM_ASSIGN(const Expr option, of_type(type, schema, path));
    options.push_back(option);
  }
  return grammar_.choice(options);
}

Result<Expr> SchemaCompiler::of_type(const std::string& type, const SchemaJson& flat,
                                     const std::string& path) {
  if (type == "object") return object(flat, path);
  if (type == "array") return array(flat, path);
  if (type == "string") return string(flat, path);
  if (type == "number" || type == "integer") return number(flat, type == "integer", path);
  if (type == "null") return grammar_.literal("null");
  return grammar_.choice({grammar_.literal("true"), grammar_.literal("false")});
}

uint32_t schema_count(const SchemaJson& flat, const char* keyword, uint32_t otherwise) {
  if (!flat.contains(keyword)) return otherwise;
  const double count = flat[keyword].get<double>();
  return count < kNoBound ? static_cast<uint32_t>(count) : kUnbounded;
}

Status check_order(const SchemaJson& flat, const char* low, const char* high,
                   const std::string& path) {
  const uint32_t least = schema_count(flat, low, 0);
  const uint32_t most = schema_count(flat, high, kUnbounded);
  if (least == kUnbounded) {
    return schema_error(
        schema_path(path, low),
        "expected a number below " + std::to_string(kNoBound) + ", got " + flat[low].dump(),
        ErrorCode::kUnsupported);
  }
  if (least <= most) return {};
  return schema_error(schema_path(path, low), std::string("expected at most ") + high + ", " +
                                                  std::to_string(most) + ", got " +
                                                  std::to_string(least));
}

Result<Expr> json_schema_value(Grammar& grammar, std::string_view schema) {
  FATHOM_ASSIGN(const SchemaDocument document, SchemaDocument::parse(schema, grammar.budget()));
  return SchemaCompiler(document, grammar).run();
}

Result<Grammar> json_schema_grammar(std::string_view schema, std::shared_ptr<WorkBudget> budget) {
  Grammar grammar(std::move(budget));
  FATHOM_ASSIGN(const Expr value, json_schema_value(grammar, schema));
  grammar.set_root("#", value);
  return grammar;
}

Expr json_object_value(Grammar& grammar) {
  return JsonPieces(grammar).object();
}

}  // namespace fathom::grammar
