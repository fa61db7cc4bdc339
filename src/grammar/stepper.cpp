#include "grammar/stepper.h"

#include <algorithm>

#include "grammar/rules/limits.h"

namespace fathom::grammar {
namespace {

// A step that takes more work or finds more places is only met in very ambiguous grammars. Leaving
// places out is safe: from each of the others the text can still be completed.
constexpr size_t kMaxItems = 1024;
constexpr size_t kMaxStepWork = size_t{1} << 16;

// Places that are compared one by one; more are hashed.
constexpr size_t kFewItems = 16;

// The cost of parts of a step, in nanoseconds.
constexpr size_t kByteWork = 6;  // of each place before
constexpr size_t kAddWork = 8;
constexpr size_t kCallWork = 48;
constexpr size_t kNodeWork = 64;

uint64_t hash_of(Item item) {
  const uint64_t hash = (uint64_t{item.node} << 32 | item.state) * 0x9E3779B97F4A7C15ULL;
  return hash ^ hash >> 32;
}

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
  most_work_ = work_ + kMaxStepWork;
  out.push_back({automaton_.start(), StackNodes::kBottom});
  add_calls(begin, out);
}

void Stepper::step(size_t begin, size_t end, uint8_t byte, std::vector<Item>& out) {
  const size_t first = out.size();
  bool returns = false;
  bool calls = false;
  most_work_ = work_ + kMaxStepWork;
  work_ += kByteWork * (end - begin);
  for (size_t i = begin; i < end && has_room(first, out); ++i) {
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

// The first place is always added, whatever a step from it costs.
bool Stepper::has_room(size_t begin, const std::vector<Item>& out) const {
  return out.size() == begin || (work_ < most_work_ && out.size() - begin < kMaxItems);
}

void Stepper::add(Item item, size_t begin, std::vector<Item>& out) {
  work_ += kAddWork;
  if (!is_new(item, begin, out)) return;
  out.push_back(item);
  if (automaton_.has_calls(item.state)) work_ += kCallWork * calls_of(item);
}

bool Stepper::is_new(Item item, size_t begin, const std::vector<Item>& out) {
  const size_t count = out.size() - begin;
  if (count < kFewItems) {
    return std::find(out.begin() + static_cast<ptrdiff_t>(begin), out.end(), item) == out.end();
  }
  const auto insert = [&](Item place, uint32_t number) {
    size_t slot = hash_of(place) & (index_.size() - 1);
    for (; index_[slot] != 0; slot = (slot + 1) & (index_.size() - 1)) {
      if (out[begin + index_[slot] - 1] == place) return false;
    }
    index_[slot] = number;
    return true;
  };
  if (count == kFewItems || 2 * count >= index_.size()) {
    work_ += count;
    index_.assign(count == kFewItems ? 8 * kFewItems : 4 * index_.size(), 0);
    for (size_t i = 0; i < count; ++i) insert(out[begin + i], static_cast<uint32_t>(i + 1));
  }
  return insert(item, static_cast<uint32_t>(count + 1));
}

void Stepper::add_returns(size_t begin, std::vector<Item>& out) {
  for (size_t i = begin; i < out.size(); ++i) {
    if (!automaton_.accepting(out[i].state)) continue;
    for (const Frame& frame : nodes_.frames(out[i].node)) {
      if (!has_room(begin, out)) return;
      add({frame.state, frame.node}, begin, out);
    }
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
    work_ += kNodeWork + 4 * frames_.size();
    const Item item = {automaton_.start(rule), nodes_.find(frames_)};
    add(item, begin, out);
    push_calls(item);
  }
}

// A call that is the last thing its rule does returns straight to that rule's callers, so that
// lists written as recursion do not grow the stack.
bool Stepper::is_last(const Nfa::CallEdge& edge, NodeId node) const {
  return automaton_.only_returns(edge.target) && node != StackNodes::kBottom;
}

// How many calls push_calls() makes of the place.
size_t Stepper::calls_of(Item item) const {
  size_t count = 0;
  for (const Nfa::CallEdge& edge : automaton_.calls(item.state)) {
    count += is_last(edge, item.node) ? nodes_.frames(item.node).size() : 1;
  }
  return count;
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
    if (is_last(edge, item.node)) {
      for (const Frame& frame : nodes_.frames(item.node)) push(edge.rule, frame);
    } else {
      push(edge.rule, {edge.target, item.node});
    }
  }
}

}  // namespace fathom::grammar
