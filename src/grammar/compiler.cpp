#include "grammar/compiler.h"

#include "grammar/ebnf.h"
#include "grammar/json_schema.h"
#include "grammar/regex.h"

namespace fathom::grammar {

Result<Grammar> grammar_from(const GrammarSource& source) {
  switch (source.kind) {
    case SourceKind::kJsonObject:
      return json_object_grammar();
    case SourceKind::kJsonSchema:
      return json_schema_grammar(source.text);
    case SourceKind::kEbnf:
      return ebnf_grammar(source.text);
    case SourceKind::kRegex:
      break;
  }
  Grammar grammar;
  const RuleId root = grammar.add_rule("regex");
  FATHOM_ASSIGN(const Expr expr, whole_regex(grammar, source.text));
  grammar.define(root, expr);
  grammar.set_root(root);
  return grammar;
}

Result<std::shared_ptr<const CompiledGrammar>> Compiler::compile(const GrammarSource& source) {
  if (auto known = find(source)) return known;
  FATHOM_ASSIGN(const Grammar grammar, grammar_from(source));
  FATHOM_ASSIGN(auto result, CompiledGrammar::build(grammar, vocabulary_));
  keep(source, result);
  return result;
}

std::shared_ptr<const CompiledGrammar> Compiler::find(const GrammarSource& source) {
  const std::lock_guard lock(mutex_);
  const auto place = places_.find(source);
  if (place == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, place->second);
  return place->second->grammar;
}

// Grammars grow while they are used, so all are weighed anew.
void Compiler::keep(const GrammarSource& source, std::shared_ptr<const CompiledGrammar> grammar) {
  const std::lock_guard lock(mutex_);
  if (places_.contains(source)) return;  // another thread was faster
  entries_.push_front({source, std::move(grammar)});
  places_[source] = entries_.begin();
  size_t bytes = 0;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    bytes += entry->source.text.size() * 2 + entry->grammar->bytes();
    if (bytes <= cache_bytes_) {
      ++entry;
      continue;
    }
    places_.erase(entry->source);
    entry = entries_.erase(entry);
  }
}

size_t Compiler::cached() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace fathom::grammar
