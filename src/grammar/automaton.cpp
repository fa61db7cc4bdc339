#include "grammar/automaton.h"

#include <algorithm>
#include <queue>

#include "grammar/rules/limits.h"
#include "grammar/rules/nfa_builder.h"

namespace fathom::grammar {

class AutomatonBuilder {
 public:
  explicit AutomatonBuilder(const Grammar& grammar)
      : grammar_(grammar), nullable_(nullable_expressions(grammar)) {}

  Result<Automaton> run() {
    FATHOM_TRY(build_rules());
    find_heights();
    if (height_[start(grammar_.root())] > kMaxOpenRules) return impossible();
    lay_out();
    FATHOM_TRY(rank_rules());
    for (const TextClass text_class : kTextClasses) {
      const auto followers = automaton_.followers(text_class, budget());
      automaton_.find_sure_runs(text_class, followers, budget());
      automaton_.find_inner_runs(text_class, followers, budget());
    }
    automaton_.find_longest_runs(budget());
    if (budget().exhausted()) return at_rule(budget().error(), grammar_.root());
    return std::move(automaton_);
  }

 private:
  static constexpr uint32_t kNever = 1U << 30;  // the height of a dead state

  WorkBudget& budget() const { return grammar_.budget(); }
  AutomatonState start(RuleId rule) const { return starts_[rule]; }
  bool alive(AutomatonState state) const { return height_[state] <= kMaxOpenRules; }
  std::string name(RuleId rule) const {
    return rule < grammar_.rules().size() ? grammar_.rules()[rule].name : "a repetition";
  }

  // Builds the rules that can be called from the root, helpers included.
  Status build_rules() {
    if (grammar_.too_large()) {
      return Error{ErrorCode::kResourceExhausted, "expected a grammar of at most " +
                                                      std::to_string(kMaxExpressions) +
                                                      " expressions, got a larger one"};
    }
    NfaBuilder builder(grammar_, nullable_, helpers_);
    std::vector<RuleId> pending = {grammar_.root()};
    find_rule(grammar_.root());
    while (!pending.empty()) {
      const RuleId rule = pending.back();
      pending.pop_back();
      const size_t own = grammar_.rules().size();
      auto nfa = rule < own ? builder.build(grammar_.rules()[rule].body)
                            : builder.build(HelperRule(helpers_[rule - own]));
      if (!nfa) return at_rule(nfa.error(), rule);
      auto dfa = determinize(*nfa, budget());
      if (!dfa) return at_rule(dfa.error(), rule);
      starts_[rule] = static_cast<AutomatonState>(states_.size());
      budget().spend(dfa->states.size() * 4, dfa->states.size() * sizeof(Dfa::State));
      for (Dfa::State& state : dfa->states) {
        for (Nfa::ByteEdge& edge : state.bytes) edge.target += starts_[rule];
        for (Nfa::CallEdge& edge : state.calls) {
          edge.target += starts_[rule];
          if (find_rule(edge.rule)) pending.push_back(edge.rule);
        }
        states_.push_back(std::move(state));
      }
      ends_[rule] = static_cast<AutomatonState>(states_.size());
      if (states_.size() > kMaxAutomatonStates) {
        return at_rule({ErrorCode::kResourceExhausted,
                        "expected a grammar of at most " + std::to_string(kMaxAutomatonStates) +
                            " deterministic states, got a larger one"},
                       rule);
      }
    }
    return {};
  }

  Error at_rule(Error error, RuleId rule) const {
    error.where = name(rule);
    return error;
  }

  // Whether the rule is new.
  bool find_rule(RuleId rule) {
    if (rule >= starts_.size()) {
      starts_.resize(rule + 1);
      ends_.resize(rule + 1);
      known_.resize(rule + 1);
    }
    const bool is_new = !known_[rule];
    known_[rule] = true;
    return is_new;
  }

  // Knuth's generalisation of Dijkstra's algorithm: a state's height is the least, over its edges,
  // of the target's and (for calls) one more than the called rule's.
  void find_heights() {
    struct Call {
      AutomatonState source;
      RuleId rule;
      AutomatonState target;
    };
    height_.assign(states_.size(), kNever);
    std::vector<std::vector<AutomatonState>> sources(states_.size());
    std::vector<std::vector<Call>> calls(states_.size());  // by target and by the rule's start
    using Entry = std::pair<uint32_t, AutomatonState>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
    const auto offer = [&](AutomatonState state, uint32_t height) {
      if (height >= height_[state]) return;
      height_[state] = height;
      queue.push({height, state});
    };
    for (AutomatonState state = 0; state < states_.size(); ++state) {
      for (const Nfa::ByteEdge& edge : states_[state].bytes) sources[edge.target].push_back(state);
      for (const Nfa::CallEdge& edge : states_[state].calls) {
        calls[edge.target].push_back({state, edge.rule, edge.target});
        calls[start(edge.rule)].push_back({state, edge.rule, edge.target});
      }
    }
    for (AutomatonState state = 0; state < states_.size(); ++state) {
      if (states_[state].accepting) offer(state, 0);
    }
    while (!queue.empty()) {
      const auto [height, state] = queue.top();
      queue.pop();
      if (height != height_[state]) continue;
      for (const AutomatonState source : sources[state]) offer(source, height);
      for (const Call& call : calls[state]) {
        const uint32_t within = height_[start(call.rule)];
        if (within == kNever || height_[call.target] == kNever) continue;
        offer(call.source, std::max(height_[call.target], within + 1));
      }
    }
  }

  // Names an impossible rule that the root cannot do without, as far down as one is found.
  Error impossible() const {
    std::vector<bool> seen(starts_.size());
    RuleId rule = grammar_.root();
    for (bool found = true; found;) {
      found = false;
      seen[rule] = true;
      for (AutomatonState state = start(rule); state < ends_[rule] && !found; ++state) {
        for (const Nfa::CallEdge& edge : states_[state].calls) {
          if (alive(start(edge.rule)) || seen[edge.rule]) continue;
          rule = edge.rule;
          found = true;
          break;
        }
      }
    }
    return invalid_argument("expected something that some text matches, got nothing that can end",
                            name(rule));
  }
  void lay_out() {
    for (AutomatonState i = 0; i < states_.size(); ++i) {
      automaton_.states_.push_back({static_cast<uint32_t>(automaton_.edges_.size()),
                                    static_cast<uint32_t>(automaton_.calls_.size())});
      Automaton::State& state = automaton_.states_.back();
      state.accepting = states_[i].accepting;
      state.height = static_cast<uint16_t>(std::min(height_[i], kMaxOpenRules + 1));
      if (alive(i)) automaton_.greatest_height_ = std::max(automaton_.greatest_height_, height_[i]);
      for (const Nfa::ByteEdge& edge : states_[i].bytes) {
        if (alive(edge.target)) automaton_.edges_.push_back(edge);
      }
      for (const Nfa::CallEdge& edge : states_[i].calls) {
        if (alive(edge.target) && alive(start(edge.rule))) automaton_.calls_.push_back(edge);
      }
    }
    automaton_.states_.push_back({static_cast<uint32_t>(automaton_.edges_.size()),
                                  static_cast<uint32_t>(automaton_.calls_.size())});
    automaton_.rules_.resize(starts_.size());
    for (RuleId rule = 0; rule < starts_.size(); ++rule) {
      automaton_.rules_[rule].start = starts_[rule];
      automaton_.rules_[rule].end = ends_[rule];
    }
    automaton_.root_ = grammar_.root();
  }

  // Topological order of "may call first thing".
  Status rank_rules() {
    std::vector<uint32_t> callers(starts_.size());
    const auto first_calls = [this](RuleId rule) {
      return known_[rule] ? automaton_.calls(start(rule)) : std::span<const Nfa::CallEdge>();
    };
    for (RuleId rule = 0; rule < starts_.size(); ++rule) {
      for (const Nfa::CallEdge& edge : first_calls(rule)) ++callers[edge.rule];
    }
    std::vector<RuleId> ready;
    for (RuleId rule = 0; rule < starts_.size(); ++rule) {
      if (callers[rule] == 0) ready.push_back(rule);
    }
    std::vector<uint32_t> opened(starts_.size(), 1);  // by one byte, with the rule the last
    for (uint32_t rank = 0; rank < ready.size(); ++rank) {
      automaton_.rules_[ready[rank]].rank = rank;
      const uint32_t before = opened[ready[rank]];
      automaton_.most_opened_ = std::max(automaton_.most_opened_, before);
      for (const Nfa::CallEdge& edge : first_calls(ready[rank])) {
        opened[edge.rule] = std::max(opened[edge.rule], before + 1);
        if (--callers[edge.rule] == 0) ready.push_back(edge.rule);
      }
    }
    for (RuleId rule = 0; rule < starts_.size(); ++rule) {
      if (callers[rule] == 0) continue;
      return invalid_argument("expected no left recursion, got a rule that may begin with itself",
                              name(rule));
    }
    return {};
  }

  const Grammar& grammar_;
  std::vector<bool> nullable_;
  std::vector<HelperRule> helpers_;
  std::vector<AutomatonState> starts_;  // by rule
  std::vector<AutomatonState> ends_;    // by rule: one behind its last state
  std::vector<bool> known_;             // by rule: whether it is built or about to be
  std::vector<Dfa::State> states_;
  std::vector<uint32_t> height_;
  Automaton automaton_;
};

Result<Automaton> Automaton::build(const Grammar& grammar) {
  return AutomatonBuilder(grammar).run();
}

size_t Automaton::bytes() const {
  return states_.size() * sizeof(State) + edges_.size() * sizeof(Nfa::ByteEdge) +
         calls_.size() * sizeof(Nfa::CallEdge) + rules_.size() * sizeof(Rule);
}

}  // namespace fathom::grammar
