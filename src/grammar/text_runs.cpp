// How much text of each class a state accepts, for masks (text_class.h).
#include <algorithm>

#include "grammar/automaton.h"

namespace fathom::grammar {
namespace {

const std::vector<Utf8Sequence>& sequences_of(TextClass text_class) {
  static const std::array<std::vector<Utf8Sequence>, kTextClasses.size()> sequences = {
      utf8_sequences(characters_of(TextClass::kLower)),
      utf8_sequences(characters_of(TextClass::kWord)),
      utf8_sequences(characters_of(TextClass::kForeign)),
      utf8_sequences(characters_of(TextClass::kPlain))};
  return sequences[static_cast<size_t>(text_class)];
}

void insert(std::vector<AutomatonState>& states, AutomatonState state) {
  if (std::find(states.begin(), states.end(), state) == states.end()) states.push_back(state);
}

// The characters of plain text that begin within the range: 1 if any do.
int plain_beginnings(ByteRange bytes) {
  const bool lead = bytes.last >= 0xC2;
  bool ascii = false;
  for (int byte = bytes.first; byte <= std::min<int>(bytes.last, 0x7F) && !ascii; ++byte) {
    ascii = characters_of(TextClass::kPlain).contains(static_cast<char32_t>(byte));
  }
  return lead || ascii ? 1 : 0;
}
bool may_be_plain(ByteRange bytes) {
  return bytes.last >= 0x80 || plain_beginnings(bytes) == 1;
}

}  // namespace

// The states after one character of the class; none unless every such character is accepted.
std::vector<AutomatonState> Automaton::after_character(AutomatonState state,
                                                       TextClass text_class) const {
  std::vector<AutomatonState> result;
  if (edges(state).empty()) return result;
  for (const Utf8Sequence& sequence : sequences_of(text_class)) {
    std::vector<AutomatonState> at = {state};
    for (int i = 0; i < sequence.length; ++i) {
      std::vector<AutomatonState> next;
      for (const AutomatonState from : at) {
        int expected = sequence.bytes[i].first;
        for (const Nfa::ByteEdge& edge : edges(from)) {
          if (edge.bytes.last < expected) continue;
          if (edge.bytes.first > expected || expected > sequence.bytes[i].last) break;
          expected = edge.bytes.last + 1;
          insert(next, edge.target);
        }
        if (expected <= sequence.bytes[i].last) return {};
      }
      at = std::move(next);
    }
    for (const AutomatonState target : at) insert(result, target);
  }
  return result;
}

std::vector<Automaton::Follower> Automaton::followers(TextClass text_class,
                                                      WorkBudget& budget) const {
  std::vector<Follower> result;
  for (RuleId rule = 0; rule < rules_.size(); ++rule) {
    for (AutomatonState state = rules_[rule].start; state < rules_[rule].end; ++state) {
      if (!budget.spend(4 + edges(state).size() / 4)) return result;
      std::vector<AutomatonState> after = after_character(state, text_class);
      if (after.empty() && !has_calls(state) && !accepting(state)) continue;
      result.push_back({state, rule, std::move(after)});
    }
  }
  return result;
}

// Greatest fixpoint of run(s) = the greatest of
//   1 + min over the states t after a character of run(t), if s accepts every character,
//   run(start of r), for rules r that may be called at s,
//   min over the states t that s's rule may return to of run(t), if it may return at s.
void Automaton::find_sure_runs(TextClass text_class, const std::vector<Follower>& followers,
                               WorkBudget& budget) {
  const auto index = static_cast<size_t>(text_class);
  for (const Follower& follower : followers) states_[follower.state].sure_run[index] = kMaxRun;
  for (bool changed = true; changed && budget.spend(followers.size() / 4 + calls_.size() / 8);) {
    changed = false;
    std::vector<uint8_t> after_return(rules_.size(), kMaxRun);
    after_return[root_] = 0;
    for (const Nfa::CallEdge& call : calls_) {
      after_return[call.rule] =
          std::min(after_return[call.rule], sure_run(call.target, text_class));
    }
    // Backwards: states are numbered about in the order in which text reaches them.
    for (auto entry = followers.rbegin(); entry != followers.rend(); ++entry) {
      int run = entry->after.empty() ? 0 : kMaxRun;
      for (const AutomatonState target : entry->after) {
        run = std::min<int>(run, sure_run(target, text_class) + 1);
      }
      for (const Nfa::CallEdge& call : calls(entry->state)) {
        run = std::max<int>(run, sure_run(start(call.rule), text_class));
      }
      if (accepting(entry->state)) run = std::max<int>(run, after_return[entry->rule]);
      // Never upwards, so that it ends whatever the order.
      if (run >= sure_run(entry->state, text_class)) continue;
      states_[entry->state].sure_run[index] = static_cast<uint8_t>(run);
      changed = true;
    }
  }
}

// Greatest fixpoint of run(s) = 1 + min over the states t after a character of run(t), if s accepts
// every character and no t needs more open rules than s.
void Automaton::find_inner_runs(TextClass text_class, const std::vector<Follower>& followers,
                                WorkBudget& budget) {
  const auto index = static_cast<size_t>(text_class);
  for (const Follower& follower : followers) {
    if (!follower.after.empty()) states_[follower.state].inner_run[index] = kMaxRun;
  }
  for (bool changed = true; changed && budget.spend(followers.size() / 8);) {
    changed = false;
    for (auto entry = followers.rbegin(); entry != followers.rend(); ++entry) {
      int run = entry->after.empty() ? 0 : kMaxRun;
      for (const AutomatonState target : entry->after) {
        const bool opens = height(target) > height(entry->state);
        run = std::min<int>(run, opens ? 0 : inner_run(target, text_class) + 1);
      }
      if (run >= inner_run(entry->state, text_class)) continue;
      states_[entry->state].inner_run[index] = static_cast<uint8_t>(run);
      changed = true;
    }
  }
}

// Least fixpoint of the greatest number of plain characters on any way from a state, through calls
// and returns; kMaxRun for more than kLongestCounted.
void Automaton::find_longest_runs(WorkBudget& budget) {
  constexpr int kLongestCounted = 32;
  std::vector<uint8_t> after_return(rules_.size());
  const auto longest_from = [&](AutomatonState state, RuleId rule) {
    int longest = accepting(state) ? after_return[rule] : 0;
    for (const Nfa::ByteEdge& edge : edges(state)) {
      if (!may_be_plain(edge.bytes)) continue;
      longest = std::max(longest, plain_beginnings(edge.bytes) + longest_run(edge.target));
    }
    for (const Nfa::CallEdge& call : calls(state)) {
      longest = std::max<int>(longest, longest_run(start(call.rule)));
    }
    return longest > kLongestCounted ? kMaxRun : longest;
  };
  for (bool changed = true; changed && budget.spend(states_.size() / 4 + edges_.size() / 16);) {
    changed = false;
    for (RuleId rule = 0; rule < rules_.size(); ++rule) {
      for (AutomatonState state = rules_[rule].end; state-- > rules_[rule].start;) {
        for (const Nfa::CallEdge& call : calls(state)) {
          after_return[call.rule] = std::max(after_return[call.rule], longest_run(call.target));
        }
        const int longest = longest_from(state, rule);
        if (longest == longest_run(state)) continue;
        states_[state].longest_run = static_cast<uint8_t>(longest);
        changed = true;
      }
    }
  }
}

}  // namespace fathom::grammar
