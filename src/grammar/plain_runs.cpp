// How much plain text each state accepts, for masks (plain_text.h).
#include <algorithm>

#include "grammar/automaton.h"
#include "grammar/plain_text.h"

namespace fathom::grammar {
namespace {

const std::vector<Utf8Sequence>& plain_sequences() {
  static const std::vector<Utf8Sequence> sequences = utf8_sequences(plain_characters());
  return sequences;
}

}  // namespace

// The states after one plain character; none unless every plain character is accepted.
std::vector<AutomatonState> Automaton::after_plain_character(AutomatonState state) const {
  std::vector<AutomatonState> result;
  for (const Utf8Sequence& sequence : plain_sequences()) {
    std::vector<AutomatonState> at = {state};
    for (int i = 0; i < sequence.length; ++i) {
      std::vector<AutomatonState> next;
      for (const AutomatonState from : at) {
        int expected = sequence.bytes[i].first;
        for (const Nfa::ByteEdge& edge : edges(from)) {
          if (edge.bytes.last < expected) continue;
          if (edge.bytes.first > expected || expected > sequence.bytes[i].last) break;
          expected = edge.bytes.last + 1;
          if (std::find(next.begin(), next.end(), edge.target) == next.end()) {
            next.push_back(edge.target);
          }
        }
        if (expected <= sequence.bytes[i].last) return {};
      }
      at = std::move(next);
    }
    for (const AutomatonState target : at) {
      if (std::find(result.begin(), result.end(), target) == result.end()) result.push_back(target);
    }
  }
  return result;
}

// Greatest fixpoint of run(s) = 1 + min over the states t after a plain character of run(t).
void Automaton::find_plain_runs() {
  std::vector<std::pair<AutomatonState, std::vector<AutomatonState>>> followers;
  for (AutomatonState state = 0; state < state_count(); ++state) {
    std::vector<AutomatonState> after = after_plain_character(state);
    if (after.empty()) continue;
    states_[state].plain_run = kMaxPlainRun;
    followers.emplace_back(state, std::move(after));
  }
  for (bool changed = true; changed;) {
    changed = false;
    // Backwards: states are numbered about in the order in which text reaches them.
    for (auto entry = followers.rbegin(); entry != followers.rend(); ++entry) {
      int shortest = kMaxPlainRun;
      for (const AutomatonState target : entry->second) {
        shortest = std::min<int>(shortest, plain_run(target) + 1);
      }
      if (shortest == plain_run(entry->first)) continue;
      states_[entry->first].plain_run = static_cast<uint8_t>(shortest);
      changed = true;
    }
  }
}

}  // namespace fathom::grammar
