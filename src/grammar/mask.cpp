#include "grammar/mask.h"

#include <algorithm>
#include <vector>

namespace fathom::grammar {
namespace {

void walk(const Vocabulary::Bucket& bucket, Stepper& stepper, std::span<const Item> items,
          std::span<uint32_t> mask) {
  std::vector<Item> places(items.begin(), items.end());
  // begins[d]: the first of the places after d bytes; they end where those after d + 1 begin.
  std::vector<size_t> begins = {0, places.size()};
  const size_t count = bucket.nodes.size() - 1;
  for (size_t i = 0; i < count;) {
    const Vocabulary::Node& node = bucket.nodes[i];
    begins.resize(node.depth + 1U);
    places.resize(begins[node.depth]);
    stepper.step(begins[node.depth - 1], begins[node.depth], node.byte, places);
    if (places.size() == begins[node.depth]) {
      i = node.skip;
      continue;
    }
    begins.push_back(places.size());
    ++i;
    for (uint32_t token = node.tokens; token < bucket.nodes[i].tokens; ++token) {
      const auto id = static_cast<uint32_t>(bucket.ids[token]);
      mask[id / 32] |= 1U << id % 32;
    }
  }
}

}  // namespace

void compute_mask(const Vocabulary& vocabulary, const Automaton& automaton, Stepper& stepper,
                  std::span<const Item> items, std::span<uint32_t> mask) {
  size_t plain = 0;
  for (const Item& item : items) {
    plain = std::max<size_t>(plain, automaton.plain_run(item.state));
  }
  for (const Vocabulary::Bucket& bucket : vocabulary.buckets()) {
    if (bucket.chars == 0 || bucket.chars > plain) {
      walk(bucket, stepper, items, mask);
    } else {
      for (size_t i = 0; i < mask.size(); ++i) mask[i] |= bucket.mask[i];
    }
  }
}

}  // namespace fathom::grammar
