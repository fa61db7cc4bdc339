#include "grammar/rules/dfa.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "grammar/rules/limits.h"

namespace fathom::grammar {
namespace {

Error too_large(const char* what) {
  return {ErrorCode::kResourceExhausted, "expected a grammar of at most " +
                                             std::to_string(kMaxAutomatonStates) +
                                             " deterministic states, got " + what};
}

struct SetHash {
  size_t operator()(const std::vector<uint32_t>& members) const {
    uint64_t hash = members.size();
    for (const uint32_t member : members) {
      hash = (hash ^ member) * 0x9E3779B97F4A7C15ULL;
      hash ^= hash >> 29;
    }
    return hash;
  }
};

// Appends the range, joining it to the one before where both lead to the same state.
void append(std::vector<Nfa::ByteEdge>& edges, ByteRange bytes, uint32_t target) {
  if (!edges.empty() && edges.back().target == target &&
      edges.back().bytes.last + 1 == bytes.first) {
    edges.back().bytes.last = bytes.last;
  } else {
    edges.push_back({bytes, target});
  }
}

class SubsetConstruction {
 public:
  SubsetConstruction(const Nfa& nfa, WorkBudget& budget)
      : nfa_(nfa), budget_(budget), seen_(nfa.states.size()) {}

  Result<Dfa> run() {
    find({Nfa::kStart});
    for (uint32_t id = 0; id < dfa_.states.size(); ++id) {
      if (budget_.exhausted()) return budget_.error();
      if (dfa_.states.size() > kMaxAutomatonStates) return too_large("a larger one");
      expand(id);
    }
    return std::move(dfa_);
  }

 private:
  // The number of the state for `members` and all that is reached from them by empty edges.
  uint32_t find(std::vector<uint32_t> members) {
    close(members);
    const auto [place, is_new] =
        ids_.try_emplace(std::move(members), static_cast<uint32_t>(dfa_.states.size()));
    if (is_new) {
      // A state with some edges, its members and their place in the table.
      budget_.spend(1, sizeof(Dfa::State) + 128 + place->first.size() * sizeof(uint32_t));
      dfa_.states.emplace_back();
      sets_.push_back(&place->first);
    }
    return place->second;
  }

  void close(std::vector<uint32_t>& members) {
    ++round_;
    size_t visited = 0;
    std::vector<uint32_t> pending;
    pending.swap(members);
    for (const uint32_t state : pending) seen_[state] = round_;
    while (!pending.empty()) {
      const uint32_t state = pending.back();
      pending.pop_back();
      ++visited;
      const Nfa::State& from = nfa_.states[state];
      const bool counts = !from.bytes.empty() || !from.calls.empty() || state == Nfa::kFinal;
      if (counts) members.push_back(state);
      for (const uint32_t target : from.empty) {
        if (seen_[target] == round_) continue;
        seen_[target] = round_;
        pending.push_back(target);
      }
    }
    std::sort(members.begin(), members.end());
    budget_.spend(1 + visited / 2);
  }

  void expand(uint32_t id) {
    const std::vector<uint32_t>& members = *sets_[id];
    std::vector<Nfa::ByteEdge> edges;
    std::map<RuleId, std::vector<uint32_t>> calls;
    for (const uint32_t member : members) {
      const Nfa::State& state = nfa_.states[member];
      edges.insert(edges.end(), state.bytes.begin(), state.bytes.end());
      for (const Nfa::CallEdge& call : state.calls) calls[call.rule].push_back(call.target);
      if (member == Nfa::kFinal) dfa_.states[id].accepting = true;
    }
    budget_.spend(edges.size() / 4 + calls.size());
    for (auto& [rule, targets] : calls) {
      const uint32_t target = find(unique(std::move(targets)));
      dfa_.states[id].calls.push_back({rule, target});
    }
    // From border to border of ranges, the same edges apply.
    std::array<bool, 257> border = {};
    for (const Nfa::ByteEdge& edge : edges) {
      border[edge.bytes.first] = true;
      border[edge.bytes.last + 1] = true;
    }
    std::sort(edges.begin(), edges.end(), [](const Nfa::ByteEdge& a, const Nfa::ByteEdge& b) {
      return a.bytes.first < b.bytes.first;
    });
    size_t begun = 0;
    std::vector<Nfa::ByteEdge> open;
    for (int first = 0; first < 256 && !budget_.exhausted();) {
      int end = first + 1;
      while (end < 256 && !border[end]) ++end;
      std::erase_if(open, [first](const Nfa::ByteEdge& edge) { return edge.bytes.last < first; });
      for (; begun < edges.size() && edges[begun].bytes.first <= first; ++begun) {
        open.push_back(edges[begun]);
      }
      std::vector<uint32_t> targets;
      for (const Nfa::ByteEdge& edge : open) targets.push_back(edge.target);
      budget_.spend(open.size() / 4);
      if (!targets.empty()) {
        const uint32_t target = find(unique(std::move(targets)));
        append(dfa_.states[id].bytes, {static_cast<uint8_t>(first), static_cast<uint8_t>(end - 1)},
               target);
      }
      first = end;
    }
  }

  static std::vector<uint32_t> unique(std::vector<uint32_t> members) {
    std::sort(members.begin(), members.end());
    members.erase(std::unique(members.begin(), members.end()), members.end());
    return members;
  }

  const Nfa& nfa_;
  WorkBudget& budget_;
  Dfa dfa_;
  std::unordered_map<std::vector<uint32_t>, uint32_t, SetHash> ids_;
  std::vector<const std::vector<uint32_t>*> sets_;  // by state of the Dfa
  std::vector<uint32_t> seen_;                      // by state of the Nfa: the last round
  uint32_t round_ = 0;
};

// The target at bytes `first` to `last`, if there is one.
struct Step {
  std::optional<uint32_t> target;
  int last;
};
Step step(const Dfa::State& state, int first, int most) {
  const auto edge =
      std::partition_point(state.bytes.begin(), state.bytes.end(),
                           [first](const Nfa::ByteEdge& e) { return e.bytes.last < first; });
  if (edge == state.bytes.end()) return {std::nullopt, most};
  if (first < edge->bytes.first) {
    return {std::nullopt, std::min<int>(most, edge->bytes.first - 1)};
  }
  return {edge->target, std::min<int>(most, edge->bytes.last)};
}

// Keeps the states from which an accepting one is reached; none if the start is not among them.
Dfa without_dead_ends(const Dfa& dfa) {
  std::vector<std::vector<uint32_t>> sources(dfa.states.size());
  std::vector<uint32_t> pending;
  std::vector<bool> alive(dfa.states.size());
  for (uint32_t i = 0; i < dfa.states.size(); ++i) {
    for (const Nfa::ByteEdge& edge : dfa.states[i].bytes) sources[edge.target].push_back(i);
    if (!dfa.states[i].accepting) continue;
    alive[i] = true;
    pending.push_back(i);
  }
  while (!pending.empty()) {
    const uint32_t state = pending.back();
    pending.pop_back();
    for (const uint32_t source : sources[state]) {
      if (alive[source]) continue;
      alive[source] = true;
      pending.push_back(source);
    }
  }
  if (dfa.states.empty() || !alive[0]) return {};
  std::vector<uint32_t> number(dfa.states.size());
  uint32_t count = 0;
  for (uint32_t i = 0; i < dfa.states.size(); ++i) number[i] = alive[i] ? count++ : 0;
  Dfa result;
  for (uint32_t i = 0; i < dfa.states.size(); ++i) {
    if (!alive[i]) continue;
    Dfa::State& state = result.states.emplace_back();
    state.accepting = dfa.states[i].accepting;
    for (const Nfa::ByteEdge& edge : dfa.states[i].bytes) {
      if (alive[edge.target]) append(state.bytes, edge.bytes, number[edge.target]);
    }
  }
  return result;
}

}  // namespace

Result<Dfa> determinize(const Nfa& nfa, WorkBudget& budget) {
  return SubsetConstruction(nfa, budget).run();
}

Result<Dfa> product(const Dfa& a, const Dfa& b, bool difference, WorkBudget& budget) {
  using Pair =
      std::pair<uint32_t, std::optional<uint32_t>>;  // b may be left behind in a difference
  if (a.states.empty() || (b.states.empty() && !difference)) return Dfa();
  std::map<Pair, uint32_t> ids;
  std::vector<Pair> pairs;
  Dfa result;
  const auto find = [&](Pair pair) {
    const auto [place, is_new] = ids.try_emplace(pair, static_cast<uint32_t>(pairs.size()));
    if (is_new) pairs.push_back(pair);
    return place->second;
  };
  find({0, b.states.empty() ? std::nullopt : std::optional<uint32_t>(0)});
  for (uint32_t id = 0; id < pairs.size(); ++id) {
    if (pairs.size() > kMaxAutomatonStates) return too_large("a larger one");
    if (!budget.spend(1, sizeof(Dfa::State) + 128)) return budget.error();
    const auto [in_a, in_b] = pairs[id];
    Dfa::State& state = result.states.emplace_back();
    const bool b_accepts = in_b.has_value() && b.states[*in_b].accepting;
    state.accepting = a.states[in_a].accepting && b_accepts != difference;
    for (const Nfa::ByteEdge& edge : a.states[in_a].bytes) {
      for (int first = edge.bytes.first; first <= edge.bytes.last;) {
        const Step in_second = in_b.has_value() ? step(b.states[*in_b], first, edge.bytes.last)
                                                : Step{std::nullopt, edge.bytes.last};
        budget.spend(2);
        if (in_second.target.has_value() || difference) {
          append(state.bytes, {static_cast<uint8_t>(first), static_cast<uint8_t>(in_second.last)},
                 find({edge.target, in_second.target}));
        }
        first = in_second.last + 1;
      }
    }
  }
  return without_dead_ends(result);
}

bool matches(const Dfa& dfa, std::string_view text) {
  if (dfa.states.empty()) return false;
  uint32_t state = 0;
  for (const char c : text) {
    const int byte = static_cast<uint8_t>(c);
    const auto next = step(dfa.states[state], byte, byte).target;
    if (!next.has_value()) return false;
    state = *next;
  }
  return dfa.states[state].accepting;
}

}  // namespace fathom::grammar
