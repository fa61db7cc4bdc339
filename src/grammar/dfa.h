// Deterministic automata over bytes and calls of rules.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "grammar/nfa.h"

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

// Subset construction. Errors: kResourceExhausted beyond kMaxAutomatonStates or kMaxSubsetWork.
Result<Dfa> determinize(const Nfa& nfa);

// The texts that `a` matches and `b` matches (or, if `difference`, does not match). Neither may
// have calls. States that lead nowhere are left out. Errors: as determinize().
Result<Dfa> product(const Dfa& a, const Dfa& b, bool difference);

}  // namespace fathom::grammar
