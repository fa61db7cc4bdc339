// The pushdown automaton a Grammar compiles to: a deterministic automaton over bytes for each rule,
// with edges that call other rules. All rules' states lie in one array.
//
// There are no dead states: edges from which no text could be completed are left out. No rule
// begins with itself (left recursion is refused), and a call of a rule that may be empty can be
// skipped by an edge of the caller; so a call always takes a byte before it returns.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "grammar/rules/dfa.h"
#include "grammar/rules/grammar.h"
#include "grammar/rules/text_class.h"

namespace fathom::grammar {

using AutomatonState = uint32_t;

class Automaton {
 public:
  // Errors: kInvalidArgument if no text matches or a rule begins with itself (`where` is the name
  // of a rule at fault), kResourceExhausted beyond the grammar's budget or the limits of limits.h.
  static Result<Automaton> build(const Grammar& grammar);

  AutomatonState start(RuleId rule) const { return rules_[rule].start; }
  AutomatonState start() const { return rules_[root_].start; }
  // A rule is only called first thing by rules of lower rank.
  uint32_t rank(RuleId rule) const { return rules_[rule].rank; }

  std::optional<AutomatonState> step(AutomatonState state, uint8_t byte) const {
    const auto all = edges(state);
    const auto edge = std::partition_point(
        all.begin(), all.end(), [byte](const Nfa::ByteEdge& e) { return e.bytes.last < byte; });
    if (edge == all.end() || byte < edge->bytes.first) return std::nullopt;
    return edge->target;
  }
  std::span<const Nfa::ByteEdge> edges(AutomatonState state) const {
    return {edges_.data() + states_[state].edges, edges_.data() + states_[state + 1].edges};
  }
  std::span<const Nfa::CallEdge> calls(AutomatonState state) const {
    return {calls_.data() + states_[state].calls, calls_.data() + states_[state + 1].calls};
  }
  bool has_calls(AutomatonState state) const {
    return states_[state].calls != states_[state + 1].calls;
  }
  // Whether the state's rule may return here, and whether there is nothing else to do.
  bool accepting(AutomatonState state) const { return states_[state].accepting; }
  bool only_returns(AutomatonState state) const {
    return accepting(state) && edges(state).empty() && !has_calls(state);
  }
  // The rules that must be open within the state's own at some time before it can return.
  uint32_t height(AutomatonState state) const { return states_[state].height; }
  // So many characters of the class, whichever they are, are accepted from here on.
  uint8_t sure_run(AutomatonState state, TextClass text_class) const {
    return states_[state].sure_run[static_cast<size_t>(text_class)];
  }
  // The same of characters within the state's own rule, none of which open more rules: what is
  // accepted here is accepted whatever the nesting.
  uint8_t inner_run(AutomatonState state, TextClass text_class) const {
    return states_[state].inner_run[static_cast<size_t>(text_class)];
  }
  // No more plain characters than so many can follow one another from here on.
  uint8_t longest_run(AutomatonState state) const { return states_[state].longest_run; }

  // Bounds on what a text may need: on height(), and on rules that one byte may open.
  uint32_t greatest_height() const { return greatest_height_; }
  uint32_t most_opened() const { return most_opened_; }

  size_t state_count() const { return states_.size() - 1; }
  size_t bytes() const;

 private:
  friend class AutomatonBuilder;
  struct State {
    uint32_t edges;  // the first; the next state's is the end
    uint32_t calls;
    uint16_t height = 0;
    bool accepting = false;
    uint8_t longest_run = 0;
    std::array<uint8_t, kTextClasses.size()> sure_run = {};
    std::array<uint8_t, kTextClasses.size()> inner_run = {};
  };
  struct Rule {
    AutomatonState start = 0;
    AutomatonState end = 0;  // one behind its last state
    uint32_t rank = 0;
  };
  // A state that text of a class may go on from, and the states after one character of it.
  struct Follower {
    AutomatonState state;
    RuleId rule;
    std::vector<AutomatonState> after;
  };
  // What these find is of no use once `budget` is exhausted.
  std::vector<Follower> followers(TextClass text_class, WorkBudget& budget) const;
  void find_sure_runs(TextClass text_class, const std::vector<Follower>& followers,
                      WorkBudget& budget);
  void find_inner_runs(TextClass text_class, const std::vector<Follower>& followers,
                       WorkBudget& budget);
  void find_longest_runs(WorkBudget& budget);
  std::vector<AutomatonState> after_character(AutomatonState state, TextClass text_class) const;

  std::vector<State> states_;  // and one behind the last
  std::vector<Nfa::ByteEdge> edges_;
  std::vector<Nfa::CallEdge> calls_;
  std::vector<Rule> rules_;
  RuleId root_ = 0;
  uint32_t greatest_height_ = 0;
  uint32_t most_opened_ = 1;
};

}  // namespace fathom::grammar
