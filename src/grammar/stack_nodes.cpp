#include "grammar/stack_nodes.h"

#include <algorithm>

namespace fathom::grammar {
namespace {

uint32_t hash_of(std::span<const Frame> frames) {
  uint64_t hash = frames.size();
  for (const Frame& frame : frames) {
    hash = (hash ^ (uint64_t{frame.node} << 32 | frame.state)) * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 32;
  }
  return static_cast<uint32_t>(hash);
}

}  // namespace

StackNodes::StackNodes() : nodes_{{0, 0, 0, 0}}, slots_(64, kBottom) {}

NodeId StackNodes::find(std::span<const Frame> frames) {
  const uint32_t hash = hash_of(frames);
  size_t slot = hash & (slots_.size() - 1);
  for (; slots_[slot] != kBottom; slot = (slot + 1) & (slots_.size() - 1)) {
    const NodeId node = slots_[slot];
    const auto known = this->frames(node);
    if (nodes_[node].hash == hash &&
        std::equal(known.begin(), known.end(), frames.begin(), frames.end())) {
      return node;
    }
  }
  uint32_t deepest = 0;
  for (const Frame& frame : frames) deepest = std::max(deepest, depth(frame.node));
  const auto id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back({static_cast<uint32_t>(frames_.size()), static_cast<uint32_t>(frames.size()),
                    deepest + 1, hash});
  frames_.insert(frames_.end(), frames.begin(), frames.end());
  slots_[slot] = id;
  if (nodes_.size() * 2 > slots_.size()) grow();
  return id;
}

void StackNodes::truncate(size_t count) {
  // Last in, first out: no node lies behind a slot that a later one took.
  for (; nodes_.size() > count; nodes_.pop_back()) {
    const auto last = static_cast<NodeId>(nodes_.size() - 1);
    size_t slot = nodes_[last].hash & (slots_.size() - 1);
    while (slots_[slot] != last) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = kBottom;
    frames_.resize(nodes_[last].begin);
  }
}

void StackNodes::grow() {
  slots_.assign(slots_.size() * 2, kBottom);
  for (NodeId node = 1; node < nodes_.size(); ++node) {
    size_t slot = nodes_[node].hash & (slots_.size() - 1);
    while (slots_[slot] != kBottom) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = node;
  }
}

size_t StackNodes::bytes() const {
  return nodes_.capacity() * sizeof(Node) + frames_.capacity() * sizeof(Frame) +
         slots_.size() * sizeof(NodeId);
}

}  // namespace fathom::grammar
