// From expressions of a Grammar to automata.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "grammar/rules/char_set.h"
#include "grammar/rules/dfa.h"
#include "grammar/rules/grammar.h"
#include "grammar/rules/nfa.h"

namespace fathom::grammar {

// Rules that NfaBuilder adds to a grammar's own: long bounded repetitions are cut into calls of
// such rules, so that {0,65536} costs some thousands of states and not some hundred thousand.
struct HelperRule {
  Expr part;  // repeated `least` to `most` times
  uint32_t least;
  uint32_t most;
  bool operator==(const HelperRule&) const = default;
};

class NfaBuilder {
 public:
  // `nullable` is nullable_expressions(grammar). Helpers are numbered after the grammar's rules.
  NfaBuilder(const Grammar& grammar, const std::vector<bool>& nullable,
             std::vector<HelperRule>& helpers)
      : grammar_(grammar), nullable_(nullable), helpers_(helpers) {}

  // Errors: kResourceExhausted beyond kMaxNfaStates, kMaxAutomatonStates or the grammar's budget.
  Result<Nfa> build(Expr expr);
  Result<Nfa> build(const HelperRule& helper);

 private:
  uint32_t add_state();
  Status connect(Expr expr, uint32_t from, uint32_t to);
  Status connect_chars(const CharSet& set, uint32_t from, uint32_t to);
  Status connect_repeat(Expr part, uint32_t least, uint32_t most, uint32_t from, uint32_t to);
  Status connect_chunks(Expr part, uint32_t least, uint32_t most, uint32_t from, uint32_t to);
  void connect_multiple(uint32_t divisor, uint32_t from, uint32_t to);
  Status connect_members(const MemberList& list, uint32_t from, uint32_t to);
  Status connect_product(const Grammar::Node& node, Expr a, Expr b, uint32_t from, uint32_t to);
  void connect_dfa(const Dfa& dfa, uint32_t from, uint32_t to);
  Status check_budget() const;
  void connect_call(RuleId rule, bool nullable, uint32_t from, uint32_t to);
  void connect_helper(const HelperRule& helper, uint32_t from, uint32_t to);
  // The states that one copy of `expr` costs, about; at most `enough`.
  size_t cost(Expr expr, size_t enough) const;

  const Grammar& grammar_;
  const std::vector<bool>& nullable_;
  std::vector<HelperRule>& helpers_;
  bool may_call_ = true;  // false within products, whose parts must be free of calls
  Nfa nfa_;

  friend Result<Dfa> content_dfa(const Grammar& grammar, Expr expr);
};

// The automaton of an expression that calls no rules. Errors: as NfaBuilder::build().
Result<Dfa> content_dfa(const Grammar& grammar, Expr expr);

}  // namespace fathom::grammar
