// One step of a pushdown automaton on a byte, over the set of all places it may be at.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/stack_nodes.h"

namespace fathom::grammar {

// A place: a state, and the node of who called its rule.
struct Item {
  AutomatonState state;
  NodeId node;
  auto operator<=>(const Item&) const = default;
};

uint64_t hash_of(std::span<const Item> items);

class Stepper {
 public:
  Stepper(const Automaton& automaton, StackNodes& nodes) : automaton_(automaton), nodes_(nodes) {}

  // Appends the places before any text to `out`.
  void start(std::vector<Item>& out);
  // Appends the places after `byte` to `out`, none if there is no such text. items[begin, end) of
  // `out` itself may be the places before.
  void step(size_t begin, size_t end, uint8_t byte, std::vector<Item>& out);
  // Whether a text may end here.
  bool complete(std::span<const Item> items) const;
  // The cost of all steps so far, in about nanoseconds; counted, so the same on any machine.
  size_t work() const { return work_; }

 private:
  struct Call {
    uint32_t rank;  // lesser ones first
    RuleId rule;
    Frame frame;
    auto operator<=>(const Call&) const = default;
  };
  bool fits(AutomatonState state, NodeId node) const;
  bool has_room(size_t begin, const std::vector<Item>& out) const;
  void add(Item item, size_t begin, std::vector<Item>& out);
  bool is_new(Item item, size_t begin, const std::vector<Item>& out);
  bool is_last(const Nfa::CallEdge& edge, NodeId node) const;
  size_t calls_of(Item item) const;
  void add_returns(size_t begin, std::vector<Item>& out);
  void add_calls(size_t begin, std::vector<Item>& out);
  void push_calls(Item item);

  const Automaton& automaton_;
  StackNodes& nodes_;
  std::vector<Call> calls_;  // a heap, least rank first
  std::vector<Frame> frames_;
  std::vector<uint32_t> index_;  // hash table of a step's places, where they are many; 0: free
  size_t work_ = 0;
  size_t most_work_ = 0;  // after which a step adds no more places but those that rules begin with
};

}  // namespace fathom::grammar
