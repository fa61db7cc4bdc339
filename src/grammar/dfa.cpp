#include "grammar/dfa.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "grammar/limits.h"

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
  explicit SubsetConstruction(const Nfa& nfa) : nfa_(nfa), seen_(nfa.states.size()) {}

  Result<Dfa> run() {
    find({Nfa::kStart});
    for (uint32_t id = 0; id < dfa_.states.size(); ++id) {
      if (work_ > kMaxSubsetWork) return too_large("one that takes too long to build");
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
      dfa_.states.emplace_back();
      sets_.push_back(&place->first);
    }
    return place->second;
  }

  void close(std::vector<uint32_t>& members) {
    ++round_;
    std::vector<uint32_t> pending;
    pending.swap(members);
    for (const uint32_t state : pending) seen_[state] = round_;
    while (!pending.empty()) {
      const uint32_t state = pending.back();
      pending.pop_back();
      ++work_;
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
    work_ += edges.size();
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
    for (int first = 0; first < 256;) {
      int end = first + 1;
      while (end < 256 && !border[end]) ++end;
      std::vector<uint32_t> targets;
      for (const Nfa::ByteEdge& edge : edges) {
        if (edge.bytes.first <= first && first <= edge.bytes.last) targets.push_back(edge.target);
      }
      work_ += edges.size();
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
  Dfa dfa_;
  std::unordered_map<std::vector<uint32_t>, uint32_t, SetHash> ids_;
  std::vector<const std::vector<uint32_t>*> sets_;  // by state of the Dfa
  std::vector<uint32_t> seen_;                      // by state of the Nfa: the last round
  uint32_t round_ = 0;
  size_t work_ = 0;
};

// The target at `byte`, if there is one.
std::optional<uint32_t> step(const Dfa::State& state, int byte) {
  for (const Nfa::ByteEdge& edge : state.bytes) {
    if (edge.bytes.first <= byte && byte <= edge.bytes.last) return edge.target;
  }
  return std::nullopt;
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

Result<Dfa> determinize(const Nfa& nfa) {
  return SubsetConstruction(nfa).run();
}

Result<Dfa> product(const Dfa& a, const Dfa& b, bool difference) {
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
    const auto [in_a, in_b] = pairs[id];
    Dfa::State& state = result.states.emplace_back();
    const bool b_accepts = in_b.has_value() && b.states[*in_b].accepting;
    state.accepting = a.states[in_a].accepting && b_accepts != difference;
    for (const Nfa::ByteEdge& edge : a.states[in_a].bytes) {
      for (int byte = edge.bytes.first; byte <= edge.bytes.last; ++byte) {
        const auto target = in_b.has_value() ? step(b.states[*in_b], byte) : std::nullopt;
        if (!target.has_value() && !difference) continue;
        const auto one = static_cast<uint8_t>(byte);
        append(state.bytes, {one, one}, find({edge.target, target}));
      }
    }
  }
  return without_dead_ends(result);
}

}  // namespace fathom::grammar
