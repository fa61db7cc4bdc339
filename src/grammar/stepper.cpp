#include "grammar/stepper.h"

#include <algorithm>

#include "grammar/limits.h"

namespace fathom::grammar {
namespace {

// More places at once are only found in very ambiguous grammars. Leaving some out is safe: from
// each of the others the text can still be completed.
constexpr size_t kMaxItems = 1024;

}  // namespace

uint64_t hash_of(std::span<const Item> items) {
  uint64_t hash = items.size();
  for (const Item& item : items) {
    hash = (hash ^ (uint64_t{item.node} << 32 | item.state)) * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 31;
  }
  return hash;
}

void Stepper::start(std::vector<Item>& out) {
  const size_t begin = out.size();
  out.push_back({automaton_.start(), StackNodes::kBottom});
  add_calls(begin, out);
}

void Stepper::step(size_t begin, size_t end, uint8_t byte, std::vector<Item>& out) {
  const size_t first = out.size();
  bool returns = false;
  bool calls = false;
  for (size_t i = begin; i < end; ++i) {
    const Item item = out[i];
    const auto target = automaton_.step(item.state, byte);
    if (!target.has_value() || !fits(*target, item.node)) continue;
    add({*target, item.node}, first, out);
    returns |= automaton_.accepting(*target);
    calls |= automaton_.has_calls(*target);
  }
  if (returns) add_returns(first, out);
  if (returns || calls) add_calls(first, out);
}

bool Stepper::complete(std::span<const Item> items) const {
  return std::any_of(items.begin(), items.end(), [this](const Item& item) {
    return item.node == StackNodes::kBottom && automaton_.accepting(item.state);
  });
}

// Whether the rule can still be completed without more open rules than are allowed.
bool Stepper::fits(AutomatonState state, NodeId node) const {
  return automaton_.height(state) + nodes_.depth(node) <= kMaxOpenRules;
}

void Stepper::add(Item item, size_t begin, std::vector<Item>& out) {
  work_ += 1 + out.size() - begin;
  if (out.size() - begin >= kMaxItems) return;
  if (std::find(out.begin() + static_cast<ptrdiff_t>(begin), out.end(), item) != out.end()) return;
  out.push_back(item);
}

void Stepper::add_returns(size_t begin, std::vector<Item>& out) {
  for (size_t i = begin; i < out.size(); ++i) {
    if (!automaton_.accepting(out[i].state)) continue;
    for (const Frame& frame : nodes_.frames(out[i].node))
      add({frame.state, frame.node}, begin, out);
  }
}

void Stepper::add_calls(size_t begin, std::vector<Item>& out) {
  calls_.clear();
  for (size_t i = begin; i < out.size(); ++i) push_calls(out[i]);
  // All callers of a rule have been seen when its turn comes: rules that call it have lower rank.
  while (!calls_.empty()) {
    const RuleId rule = calls_.front().rule;
    frames_.clear();
    while (!calls_.empty() && calls_.front().rule == rule) {
      const Frame frame = calls_.front().frame;
      if (frames_.empty() || frames_.back() != frame) frames_.push_back(frame);
      std::pop_heap(calls_.begin(), calls_.end(), std::greater<>());
      calls_.pop_back();
    }
    const Item item = {automaton_.start(rule), nodes_.find(frames_)};
    add(item, begin, out);
    push_calls(item);
  }
}

void Stepper::push_calls(Item item) {
  const auto push = [this](RuleId rule, Frame frame) {
    const uint32_t depth = nodes_.depth(frame.node) + 1;
    if (depth + automaton_.height(automaton_.start(rule)) > kMaxOpenRules) return;
    calls_.push_back({automaton_.rank(rule), rule, frame});
    std::push_heap(calls_.begin(), calls_.end(), std::greater<>());
  };
  for (const Nfa::CallEdge& edge : automaton_.calls(item.state)) {
    if (!fits(edge.target, item.node)) continue;
    // A call that is the last thing its rule does returns straight to that rule's callers, so that
    // lists written as recursion do not grow the stack.
    if (automaton_.only_returns(edge.target) && item.node != StackNodes::kBottom) {
      for (const Frame& frame : nodes_.frames(item.node)) push(edge.rule, frame);
    } else {
      push(edge.rule, {edge.target, item.node});
    }
  }
}

}  // namespace fathom::grammar
