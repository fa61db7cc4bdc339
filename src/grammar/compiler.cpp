#include "grammar/compiler.h"

#include <iterator>
#include <nlohmann/json.hpp>

#include "grammar/rules/rules_text.h"
#include "grammar/schema/json_schema.h"
#include "grammar/sources/ebnf.h"
#include "grammar/sources/regex.h"

namespace fathom::grammar {

namespace {

Result<Expr> choice_of(Grammar& grammar, const std::string& text) {
  if (!grammar.budget().spend(text.size() / 8, text.size())) return grammar.budget().error();
  const auto list = nlohmann::json::parse(text, nullptr, false);
  if (!list.is_array() || list.empty()) {
    return invalid_argument("choice: expected at least one text", "choice");
  }
  std::vector<Expr> options;
  for (const nlohmann::json& option : list) {
    if (!option.is_string()) return invalid_argument("choice: expected texts", "choice");
    options.push_back(grammar.literal(option.get<std::string>()));
  }
  return grammar.choice(options);
}

Result<Expr> as_far_as_possible(Grammar& grammar, const std::string& schema) {
  FATHOM_ASSIGN(EnforceableSchema rest, enforceable_schema(grammar, schema));
  grammar = std::move(rest.grammar);
  for (const std::string& note : rest.notes) grammar.add_note("schema: " + note);
  return rest.value;
}

}  // namespace

Result<Expr> add_source(Grammar& grammar, const GrammarSource& source) {
  switch (source.kind) {
    case SourceKind::kJsonObject:
      return json_object_value(grammar);
    case SourceKind::kJsonSchema:
      return json_schema_value(grammar, source.text);
    case SourceKind::kEnforceableSchema:
      return as_far_as_possible(grammar, source.text);
    case SourceKind::kRegex:
      return whole_regex(grammar, source.text);
    case SourceKind::kChoice:
      return choice_of(grammar, source.text);
    case SourceKind::kEbnf:
      return add_ebnf(grammar, source.text);
    case SourceKind::kRules:
      break;
  }
  return Error{ErrorCode::kInternal, "grammar: no such kind of source"};
}

Result<Grammar> grammar_from(const GrammarSource& source, std::shared_ptr<WorkBudget> budget) {
  if (source.kind == SourceKind::kRules) return read_rules(source.text, std::move(budget));
  Grammar grammar(std::move(budget));
  FATHOM_ASSIGN(const Expr expr, add_source(grammar, source));
  const bool schema =
      source.kind == SourceKind::kJsonSchema || source.kind == SourceKind::kEnforceableSchema;
  grammar.set_root(schema ? "#" : "text", expr);
  return grammar;
}

Result<std::shared_ptr<const CompiledGrammar>> Compiler::compile(
    const GrammarSource& source, std::shared_ptr<WorkBudget> budget) {
  const std::string key = std::to_string(static_cast<int>(source.kind)) + ":" + source.text;
  return compile(key, [&] { return grammar_from(source, std::move(budget)); });
}

Result<std::shared_ptr<const CompiledGrammar>> Compiler::compile(
    const std::string& key, const std::function<Result<Grammar>()>& make) {
  if (auto known = find(key)) return known;
  FATHOM_ASSIGN(const Grammar grammar, make());
  FATHOM_ASSIGN(auto result, CompiledGrammar::build(grammar, vocabulary_));
  keep(key, result);
  return result;
}

std::shared_ptr<const CompiledGrammar> Compiler::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto place = places_.find(key);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  weigh(entries_.front());
  weigh_next();
  return place->second->grammar;
}

void Compiler::keep(const std::string& key, std::shared_ptr<const CompiledGrammar> grammar) {
  const std::lock_guard lock(mutex_);
  if (places_.contains(key)) return;  // another thread was faster
  entries_.push_front({key, std::move(grammar)});
  places_[key] = entries_.begin();
  weigh(entries_.front());
  weigh_next();
  while (bytes_ > cache_bytes_ && !entries_.empty()) forget_last();
}

void Compiler::weigh(Entry& entry) {
  bytes_ -= entry.bytes;
  entry.bytes = entry.key.size() * 2 + entry.grammar->bytes();
  bytes_ += entry.bytes;
}

// Grammars grow while they are used: each look-up weighs one more, in turn.
void Compiler::weigh_next() {
  if (next_ == entries_.end()) next_ = entries_.begin();
  weigh(*next_++);
}

void Compiler::forget_last() {
  const auto last = std::prev(entries_.end());
  if (next_ == last) next_ = entries_.end();
  bytes_ -= last->bytes;
  places_.erase(last->key);
  entries_.erase(last);
}

size_t Compiler::cached() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace fathom::grammar
