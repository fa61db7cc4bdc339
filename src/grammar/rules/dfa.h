// Deterministic automata over bytes and calls of rules.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/work_budget.h"
#include "grammar/rules/nfa.h"

namespace fathom::grammar {

// State 0 is the start. Byte edges of a state are sorted and do not overlap.
struct Dfa {
  struct State {
    std::vector<Nfa::ByteEdge> bytes;
    std::vector<Nfa::CallEdge> calls;
    bool accepting = false;
  };
  std::vector<State> states;
};

// Subset construction. Errors: kResourceExhausted beyond kMaxAutomatonStates or `budget`.
Result<Dfa> determinize(const Nfa& nfa, WorkBudget& budget);

// The texts that `a` matches and `b` matches (or, if `difference`, does not match). Neither may
// have calls. States that lead nowhere are left out. Errors: as determinize().
Result<Dfa> product(const Dfa& a, const Dfa& b, bool difference, WorkBudget& budget);

// Whether `dfa`, which has no calls, matches the whole of `text`.
bool matches(const Dfa& dfa, std::string_view text);

}  // namespace fathom::grammar
