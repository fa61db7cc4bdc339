#include "grammar/mask.h"

#include <algorithm>
#include <array>
#include <vector>

#include "grammar/limits.h"

namespace fathom::grammar {
namespace {

constexpr size_t kMostSureItems = 8;
// A mask of a very ambiguous grammar that has taken this much work (Stepper::work()) goes on with a
// few places of each set only: it may then lack tokens, but has none that is not allowed.
constexpr size_t kMaxMaskWork = size_t{1} << 24;
constexpr size_t kPlacesWhenTired = 8;

void walk(const Vocabulary::Bucket& bucket, Stepper& stepper, std::span<const Item> items,
          size_t work_limit, std::span<uint32_t> mask) {
  std::vector<Item> places(items.begin(), items.end());
  // begins[d]: the first of the places after d bytes; they end where those after d + 1 begin.
  std::vector<size_t> begins = {0, places.size()};
  const size_t count = bucket.nodes.size() - 1;
  for (size_t i = 0; i < count;) {
    const Vocabulary::Node& node = bucket.nodes[i];
    begins.resize(node.depth + 1U);
    places.resize(begins[node.depth]);
    const size_t begin = begins[node.depth - 1];
    const size_t end = stepper.work() < work_limit
                           ? begins[node.depth]
                           : std::min(begins[node.depth], begin + kPlacesWhenTired);
    stepper.step(begin, end, node.byte, places);
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

// Characters after which the item may be unable to open another rule; runs are only sure before.
size_t run_within_nesting(const Automaton& automaton, const StackNodes& nodes, const Item& item) {
  const uint32_t used = nodes.depth(item.node) + automaton.greatest_height();
  return used >= kMaxOpenRules ? 0 : (kMaxOpenRules - used) / automaton.most_opened();
}

}  // namespace

void compute_mask(const Vocabulary& vocabulary, const Automaton& automaton, const StackNodes& nodes,
                  Stepper& stepper, std::span<const Item> items, std::span<uint32_t> mask) {
  const size_t work_limit = stepper.work() + kMaxMaskWork;
  std::array<size_t, kTextClasses.size()> sure = {};
  size_t longest = 0;
  for (const Item& item : items) {
    longest = std::max<size_t>(longest, automaton.longest_run(item.state));
    // Where places are many, some may be left out on the way (stepper.cpp).
    if (items.size() > kMostSureItems) continue;
    const size_t limit = run_within_nesting(automaton, nodes, item);
    for (const TextClass text_class : kTextClasses) {
      size_t& run = sure[static_cast<size_t>(text_class)];
      run = std::max(run, std::min<size_t>(limit, automaton.sure_run(item.state, text_class)));
    }
  }
  for (const Vocabulary::Bucket& bucket : vocabulary.buckets()) {
    if (bucket.least > longest) continue;
    if (bucket.most == 0 || bucket.most > sure[static_cast<size_t>(bucket.text_class)]) {
      walk(bucket, stepper, items, work_limit, mask);
    } else {
      for (size_t i = 0; i < mask.size(); ++i) mask[i] |= bucket.mask[i];
    }
  }
}

}  // namespace fathom::grammar
