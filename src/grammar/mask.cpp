#include "grammar/mask.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "grammar/limits.h"

namespace fathom::grammar {
namespace {

constexpr size_t kMostSureItems = 8;
// A mask of a very ambiguous grammar that has taken this much work (Stepper::work()) goes on with a
// few places of each set only: it may then lack tokens, but has none that is not allowed.
constexpr size_t kMaxMaskWork = size_t{1} << 24;
constexpr size_t kPlacesWhenTired = 8;

// Where bytes lead from places that stay within their rule, most of what a walk tries.
class ByteRows {
 public:
  using Row = std::array<AutomatonState, 256>;
  static constexpr AutomatonState kNowhere = ~AutomatonState{0};
  static constexpr AutomatonState kElsewhere = kNowhere - 1;  // rules end or begin: Stepper knows

  ByteRows(const Automaton& automaton, const StackNodes& nodes)
      : automaton_(automaton), nodes_(nodes) {}

  // The place's row; null if there is no room for it.
  const Row* of(const Item& item) {
    Slot& slot = slots_[(item.state + item.node) % slots_.size()];
    if (slot.row == nullptr) {
      slot.item = item;
      slot.row = std::make_unique<Row>();
      fill(item, *slot.row);
    }
    return slot.item == item ? slot.row.get() : nullptr;
  }

 private:
  struct Slot {
    Item item;
    std::unique_ptr<Row> row;
  };

  void fill(const Item& item, Row& row) const {
    row.fill(kNowhere);
    const uint32_t depth = nodes_.depth(item.node);
    for (const Nfa::ByteEdge& edge : automaton_.edges(item.state)) {
      const AutomatonState target = edge.target;
      if (automaton_.height(target) + depth > kMaxOpenRules) continue;
      const bool stays = !automaton_.accepting(target) && !automaton_.has_calls(target);
      std::fill(row.begin() + edge.bytes.first, row.begin() + edge.bytes.last + 1,
                stays ? target : kElsewhere);
    }
  }

  const Automaton& automaton_;
  const StackNodes& nodes_;
  std::array<Slot, 64> slots_;
};

class Walk {
 public:
  Walk(const Automaton& automaton, const StackNodes& nodes, Stepper& stepper, size_t work_limit)
      : stepper_(stepper), work_limit_(work_limit), rows_(automaton, nodes) {}

  void run(const Vocabulary::Bucket& bucket, std::span<const Item> items,
           std::span<uint32_t> mask) {
    places_.assign(items.begin(), items.end());
    begins_ = {0, places_.size()};
    const size_t count = bucket.nodes.size() - 1;
    for (size_t i = 0; i < count;) {
      const Vocabulary::Node& node = bucket.nodes[i];
      begins_.resize(node.depth + 1U);
      places_.resize(begins_[node.depth]);
      step(node);
      if (places_.size() == begins_[node.depth]) {
        i = node.skip;
        continue;
      }
      begins_.push_back(places_.size());
      ++i;
      for (uint32_t token = node.tokens; token < bucket.nodes[i].tokens; ++token) {
        const auto id = static_cast<uint32_t>(bucket.ids[token]);
        mask[id / 32] |= 1U << id % 32;
      }
    }
  }

 private:
  void step(const Vocabulary::Node& node) {
    const size_t begin = begins_[node.depth - 1];
    size_t end = begins_[node.depth];
    if (end - begin == 1) {
      const Item item = places_[begin];
      const ByteRows::Row* row = rows_.of(item);
      const AutomatonState target = row == nullptr ? ByteRows::kElsewhere : (*row)[node.byte];
      if (target == ByteRows::kNowhere) return;
      if (target != ByteRows::kElsewhere) return places_.push_back({target, item.node});
    }
    if (stepper_.work() >= work_limit_) end = std::min(end, begin + kPlacesWhenTired);
    stepper_.step(begin, end, node.byte, places_);
  }

  Stepper& stepper_;
  const size_t work_limit_;
  ByteRows rows_;
  std::vector<Item> places_;
  // begins_[d]: the first of the places after d bytes; they end where those after d + 1 begin.
  std::vector<size_t> begins_;
};

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
  Walk walk(automaton, nodes, stepper, work_limit);
  for (const Vocabulary::Bucket& bucket : vocabulary.buckets()) {
    if (bucket.least > longest) continue;
    if (bucket.most == 0 || bucket.most > sure[static_cast<size_t>(bucket.text_class)]) {
      walk.run(bucket, items, mask);
    } else {
      for (size_t i = 0; i < mask.size(); ++i) mask[i] |= bucket.mask[i];
    }
  }
}

}  // namespace fathom::grammar
