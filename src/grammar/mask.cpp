#include "grammar/mask.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "grammar/limits.h"

namespace fathom::grammar {
namespace {

constexpr size_t kMostSureItems = 8;
// A mask of a very ambiguous grammar that has taken this much work (Stepper::work()) goes on with a
// few places of each set only: it may then lack tokens, but has none that is not allowed.
constexpr size_t kMaxMaskWork = size_t{1} << 24;
constexpr size_t kPlacesWhenTired = 8;

// Walks tries. The sets of places that are met on the way are few, so each is kept with where bytes
// were seen to lead from it.
class Walk {
 public:
  Walk(Stepper& stepper, std::span<const Item> start)
      : stepper_(stepper), work_limit_(stepper.work() + kMaxMaskWork) {
    kept_.reserve(kMostKept);
    find({start.begin(), start.end()});
  }

  void run(const Vocabulary::Bucket& bucket, std::span<uint32_t> mask) {
    const size_t count = bucket.nodes.size() - 1;
    for (size_t i = 0; i < count;) {
      const Vocabulary::Node& node = bucket.nodes[i];
      const SetId next = after(path_[node.depth - 1U], node.byte);
      if (next == kNoPlace) {
        i = node.skip;
        continue;
      }
      if (path_.size() <= node.depth) path_.resize(node.depth + 1U);
      path_[node.depth] = {next, extra_.size()};
      ++i;
      for (uint32_t token = node.tokens; token < bucket.nodes[i].tokens; ++token) {
        const auto id = static_cast<uint32_t>(bucket.ids[token]);
        mask[id / 32] |= 1U << id % 32;
      }
    }
  }

 private:
  using SetId = int32_t;  // of kept_, or from kMostKept on of extra_
  static constexpr size_t kMostKept = 512;
  static constexpr SetId kNoPlace = -1;
  static constexpr SetId kNotTried = -2;
  struct Set {
    std::vector<Item> items;
    std::array<SetId, 256> next;
  };
  struct Step {
    SetId set = 0;
    size_t extra = 0;  // sets in extra_ up to here
  };

  SetId after(const Step& before, uint8_t byte) {
    const auto index = static_cast<size_t>(before.set);
    if (!extra_.empty()) extra_.resize(before.extra);
    if (index >= kMostKept) return find(stepped(extra_[index - kMostKept], byte));
    Set& known = kept_[index];
    if (known.next[byte] != kNotTried) return known.next[byte];
    const SetId next = find(stepped(known.items, byte));
    if (next < static_cast<SetId>(kMostKept)) known.next[byte] = next;
    return next;
  }

  std::vector<Item> stepped(const std::vector<Item>& items, uint8_t byte) {
    size_t count = items.size();
    if (stepper_.work() >= work_limit_) count = std::min(count, kPlacesWhenTired);
    places_.assign(items.begin(), items.begin() + static_cast<ptrdiff_t>(count));
    stepper_.step(0, count, byte, places_);
    return {places_.begin() + static_cast<ptrdiff_t>(count), places_.end()};
  }

  SetId find(std::vector<Item> items) {
    if (items.empty()) return kNoPlace;
    const auto known = ids_.find(items);
    if (known != ids_.end()) return known->second;
    if (kept_.size() == kMostKept) {
      extra_.push_back(std::move(items));
      return static_cast<SetId>(kMostKept + extra_.size() - 1);
    }
    const auto id = static_cast<SetId>(kept_.size());
    ids_.emplace(items, id);
    kept_.push_back({std::move(items), {}});
    kept_.back().next.fill(kNotTried);
    return id;
  }

  Stepper& stepper_;
  const size_t work_limit_;
  std::vector<Set> kept_;
  std::map<std::vector<Item>, SetId> ids_;
  std::vector<std::vector<Item>> extra_;  // met when enough were kept, along the path
  std::vector<Step> path_ = {{}};         // by depth
  std::vector<Item> places_;
};

// Characters after which the item may be unable to open another rule; runs are only sure before.
size_t run_within_nesting(const Automaton& automaton, const StackNodes& nodes, const Item& item) {
  const uint32_t used = nodes.depth(item.node) + automaton.greatest_height();
  return used >= kMaxOpenRules ? 0 : (kMaxOpenRules - used) / automaton.most_opened();
}

}  // namespace

void compute_mask(const Vocabulary& vocabulary, const Automaton& automaton, const StackNodes& nodes,
                  Stepper& stepper, std::span<const Item> items, std::span<uint32_t> mask) {
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
  Walk walk(stepper, items);
  for (const Vocabulary::Bucket& bucket : vocabulary.buckets()) {
    if (bucket.least > longest) continue;
    if (bucket.most == 0 || bucket.most > sure[static_cast<size_t>(bucket.text_class)]) {
      walk.run(bucket, mask);
    } else {
      for (size_t i = 0; i < mask.size(); ++i) mask[i] |= bucket.mask[i];
    }
  }
}

}  // namespace fathom::grammar
