// JSON schemas to Grammars. The parts of one compilation; json_schema.h is what others use.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "grammar/rules/dfa.h"
#include "grammar/rules/grammar.h"
#include "grammar/schema/document.h"
#include "grammar/schema/flat.h"
#include "grammar/sources/json_value.h"

namespace fathom::grammar {

// Each schema becomes a rule; schemas with the same content share one, which is also how recursion
// ends. Rules are worked off from a queue, so that nothing recurses along references.
class SchemaCompiler {
 public:
  // Rules are added to `grammar`.
  SchemaCompiler(const SchemaDocument& document, Grammar& grammar)
      : document_(document), flattener_(document), grammar_(grammar), json_(grammar) {}

  // Values that are valid. Errors: json_schema.h.
  Result<Expr> run();

 private:
  struct Job {
    RuleId rule;
    SchemaJson schema;
    std::string path;
  };

  // schema_compiler.cpp: schemas of any type
  Status spend(uint64_t units, const std::string& path);
  Result<Expr> value(const SchemaJson& schema, const std::string& path);
  Expr rule_for(SchemaJson schema, const std::string& path);
  Result<Expr> body(const SchemaJson& schema, const std::string& path);
  Result<Expr> flat(const SchemaJson& schema, const std::string& path);
  Result<Expr> of_type(const std::string& type, const SchemaJson& flat, const std::string& path);

  // scalar.cpp: numbers, strings, enums
  Result<Expr> number(const SchemaJson& flat, bool integer, const std::string& path);
  Result<Expr> string(const SchemaJson& flat, const std::string& path);
  Result<Expr> string_content(const SchemaJson& flat, const std::string& path);
  Result<Expr> literals(const SchemaJson& flat, const std::string& path);
  // `allowed` is what a string must match, with its quotes, if anything.
  Result<Expr> literal_in(const SchemaJson& value, const SchemaJson& flat,
                          const std::optional<Dfa>& allowed, const std::string& path);
  Expr literal(const SchemaJson& value);

  // array.cpp
  Result<Expr> array(const SchemaJson& flat, const std::string& path);

  // object.cpp
  struct Properties;
  Result<Expr> object(const SchemaJson& flat, const std::string& path);
  Status add_declared(const SchemaJson& flat, const std::string& path, Properties& properties);
  Status add_required(const SchemaJson& flat, const std::string& path, Properties& properties);
  Status add_member(const SchemaJson& flat, const std::string& name, SchemaJson schema,
                    bool required, const std::string& where, const std::string& path,
                    Properties& properties);
  Status add_patterns(const SchemaJson& flat, const std::string& path, Properties& properties);
  Status add_additional(const SchemaJson& flat, const std::string& path, Properties& properties);
  Result<Expr> member_list(const SchemaJson& flat, const std::string& path, Properties& properties);
  Result<Expr> names_content(const SchemaJson& flat, const std::string& path);
  Status add_rules_of_names(const SchemaJson& flat, const std::string& path,
                            Properties& properties);

  const SchemaDocument& document_;
  SchemaFlattener flattener_;
  Grammar& grammar_;
  JsonPieces json_;
  std::unordered_map<std::string, RuleId> rules_;  // by a schema's content
  std::deque<Job> queue_;
  size_t schema_bytes_ = 0;
};

// The number a keyword has, or `otherwise`.
uint32_t schema_count(const SchemaJson& flat, const char* keyword, uint32_t otherwise);

// minLength and maxLength or the like, in order. Error at the path of `low`.
Status check_order(const SchemaJson& flat, const char* low, const char* high,
                   const std::string& path);

}  // namespace fathom::grammar
