// Stacks of a pushdown automaton, shared: a node stands for "a rule was called here, and these are
// the places it may return to". Callers that call the same rule at the same place in the text share
// one node, so ambiguity does not multiply stacks; nodes with the same content are one node.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "grammar/automaton.h"

namespace fathom::grammar {

using NodeId = uint32_t;

// Where a rule returns to: a state of its caller, and the node of that one's own callers.
struct Frame {
  AutomatonState state;
  NodeId node;
  auto operator<=>(const Frame&) const = default;
};

class StackNodes {
 public:
  static constexpr NodeId kBottom = 0;  // of the root rule, which returns to nobody

  StackNodes();

  // The node with these frames, which must be sorted and without duplicates.
  NodeId find(std::span<const Frame> frames);
  std::span<const Frame> frames(NodeId node) const {
    return {frames_.data() + nodes_[node].begin, nodes_[node].count};
  }
  // Rules open below: 0 for the bottom.
  uint32_t depth(NodeId node) const { return nodes_[node].depth; }
  size_t bytes() const;
  size_t count() const { return nodes_.size(); }
  // Forgets all nodes but the first `count`: what was only needed for a while keeps no memory.
  void truncate(size_t count);

 private:
  struct Node {
    uint32_t begin;
    uint32_t count;
    uint32_t depth;
    uint32_t hash;
  };
  void grow();

  std::vector<Node> nodes_;
  std::vector<Frame> frames_;
  std::vector<NodeId> slots_;  // hash table; kBottom marks a free slot
};

}  // namespace fathom::grammar
