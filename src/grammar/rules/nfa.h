// Non-deterministic automata over bytes and calls of rules, one a rule. The step between a Grammar
// and its deterministic automaton.
#pragma once

#include <cstdint>
#include <vector>

#include "grammar/rules/char_set.h"
#include "grammar/rules/grammar.h"

namespace fathom::grammar {

// State 0 is the start, state 1 the only final one.
struct Nfa {
  static constexpr uint32_t kStart = 0;
  static constexpr uint32_t kFinal = 1;

  struct ByteEdge {
    ByteRange bytes;
    uint32_t target;
  };
  struct CallEdge {
    RuleId rule;
    uint32_t target;
  };
  struct State {
    std::vector<ByteEdge> bytes;
    std::vector<CallEdge> calls;
    std::vector<uint32_t> empty;  // targets of edges that take nothing
  };
  std::vector<State> states = std::vector<State>(2);
};

}  // namespace fathom::grammar
