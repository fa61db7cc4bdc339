// What a request asks its output to be, compiled once and kept.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "grammar/compiled_grammar.h"
#include "grammar/vocabulary.h"

namespace fathom::grammar {

enum class SourceKind {
  kJsonObject,
  kJsonSchema,
  kRegex,
  kEbnf,
  kChoice,
  kEnforceableSchema,
  kRules,
};

// `text` is a JSON schema, enforced in full or as far as possible (enforceable_schema()), a
// regular expression that the whole output matches (regex_parser.h), a grammar (ebnf.h) or a JSON
// array of strings to choose from; empty for kJsonObject. A schema's text must have the user's
// order of members. kRules is a whole grammar that another machine has written (rules_text.h).
struct GrammarSource {
  SourceKind kind = SourceKind::kJsonObject;
  std::string text = {};
  auto operator<=>(const GrammarSource&) const = default;
};

// Errors: kInvalidArgument, kUnsupported or kResourceExhausted; `where` is the place in a schema
// ("#/properties/age/minimum") or the name of a rule.
Result<Grammar> grammar_from(const GrammarSource& source,
                             std::shared_ptr<WorkBudget> budget = std::make_shared<WorkBudget>());

// The same as a part of another grammar; not of kRules.
Result<Expr> add_source(Grammar& grammar, const GrammarSource& source);

// Compiles for one vocabulary and keeps what was used last, up to a number of bytes. Safe to use
// from any number of threads; compiling blocks no other caller.
class Compiler {
 public:
  static constexpr size_t kDefaultCacheBytes = size_t{512} << 20;

  explicit Compiler(std::shared_ptr<const Vocabulary> vocabulary,
                    size_t cache_bytes = kDefaultCacheBytes)
      : vocabulary_(std::move(vocabulary)), cache_bytes_(cache_bytes) {}

  // Errors: as grammar_from() and Automaton::build().
  Result<std::shared_ptr<const CompiledGrammar>> compile(
      const GrammarSource& source,
      std::shared_ptr<WorkBudget> budget = std::make_shared<WorkBudget>());
  // The same for a grammar that `make` gives, with a budget of its own; `key` says all that it
  // depends on.
  Result<std::shared_ptr<const CompiledGrammar>> compile(
      const std::string& key, const std::function<Result<Grammar>()>& make);

  const Vocabulary& vocabulary() const { return *vocabulary_; }
  size_t cached() const;

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const CompiledGrammar> grammar;
    size_t bytes = 0;  // when it was last weighed
  };
  std::shared_ptr<const CompiledGrammar> find(const std::string& key);
  void keep(const std::string& key, std::shared_ptr<const CompiledGrammar> grammar);
  // Each with mutex_ held, in constant time.
  void weigh(Entry& entry);
  void weigh_next();
  void forget_last();

  std::shared_ptr<const Vocabulary> vocabulary_;
  size_t cache_bytes_;
  mutable std::mutex mutex_;  // guards all below
  std::list<Entry> entries_;  // the last used first
  std::map<std::string, std::list<Entry>::iterator> places_;
  std::list<Entry>::iterator next_ = entries_.end();  // to be weighed
  size_t bytes_ = 0;                                  // of all entries, as last weighed
};

}  // namespace fathom::grammar
