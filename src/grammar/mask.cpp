#include "grammar/mask.h"

#include <algorithm>
#include <array>
#include <vector>

#include "grammar/rules/limits.h"

namespace fathom::grammar {
namespace {

constexpr size_t kMostSureItems = 8;
// The work, in about nanoseconds, after which a complete mask is given up, and the work then spent
// on frequent tokens instead.
constexpr size_t kMaxMaskWork = 450'000;
constexpr size_t kFrequentWork = 120'000;
// Work of a node of a trie, of a set of places that is looked up, and of each place in it.
constexpr size_t kTrieNodeWork = 2;
constexpr size_t kSetWork = 50;
constexpr size_t kPlaceWork = 3;

// Walks tries. The sets of places that are met on the way are few, so each is kept with where bytes
// were seen to lead from it.
class Walk {
 public:
  Walk(Stepper& stepper, std::span<const Item> start)
      : stepper_(stepper), slots_(2 * kMostKept, -1) {
    next_.reserve(kMostKept * 256);
    places_.assign(start.begin(), start.end());
    path_[0] = find(0, 0);
  }

  // What the runs from here on may take.
  void set_budget(size_t work) { most_work_ = this->work() + work; }

  // Sets the bits of the trie's tokens that are allowed. False if the budget ended it before; that
  // does not happen before a token was found, unless `even_if_empty`.
  bool run(const Vocabulary::Trie& trie, std::span<uint32_t> mask, bool even_if_empty) {
    if (path_.size() <= trie.depth) path_.resize(trie.depth + 1U);
    // Nothing below moves them; the compiler cannot know.
    const Vocabulary::Node* const nodes = trie.nodes.data();
    const Vocabulary::Node* const end = nodes + trie.nodes.size();
    const SetId* const known = next_.data();
    SetId* const path = path_.data();
    uint32_t* const words = mask.data();
    size_t walked = 0;
    for (const Vocabulary::Node* node = nodes; node != end; ++walked) {
      const SetId before = path[node->depth - 1];
      SetId next = kNotTried;
      if (before < kMostKept) next = known[static_cast<size_t>(before) * 256 + node->byte];
      if (next == kNotTried) {
        if (work() + kTrieNodeWork * walked >= most_work_ && (even_if_empty || found_))
          return false;
        next = step(before, node->depth, node->byte);
      }
      if (next == kNoPlace) {
        node = nodes + node->skip;
        continue;
      }
      path[node->depth] = next;
      const auto token = static_cast<uint32_t>(node->token);
      words[token / 32] |= uint32_t{node->has_token} << token % 32;
      found_ |= node->has_token != 0;
      ++node;
    }
    work_ += kTrieNodeWork * walked;
    return true;
  }

 private:
  using SetId = int16_t;  // of kept_, or from kMostKept on of loose_
  static constexpr SetId kMostKept = 512;
  static constexpr SetId kNoPlace = -1;
  static constexpr SetId kNotTried = -2;
  struct Set {  // items_[begin, end)
    uint32_t begin;
    uint32_t end;
  };
  struct LooseSet {
    Set set;
    uint16_t depth;
  };

  size_t work() const { return work_ + stepper_.work(); }

  SetId step(SetId before, uint16_t depth, uint8_t byte) {
    while (!loose_.empty() && loose_.back().depth >= depth) {
      items_.resize(loose_.back().set.begin);
      loose_.pop_back();
    }
    const bool kept = before < kMostKept;
    const Set from = kept ? kept_[static_cast<size_t>(before)]
                          : loose_[static_cast<size_t>(before - kMostKept)].set;
    const size_t count = from.end - from.begin;
    const auto begin = items_.begin() + from.begin;
    places_.assign(begin, begin + static_cast<ptrdiff_t>(count));
    stepper_.step(0, count, byte, places_);
    const SetId next = places_.size() == count ? kNoPlace : find(count, depth);
    if (kept && next < kMostKept) next_[static_cast<size_t>(before) * 256 + byte] = next;
    return next;
  }

  // The set of the places from `first` on. One that comes when enough are kept is only there until
  // the walk leaves the node at `depth` that leads to it.
  SetId find(size_t first, uint16_t depth) {
    const std::span<const Item> places = std::span(places_).subspan(first);
    work_ += kSetWork + kPlaceWork * places.size();
    size_t slot = hash_of(places) % slots_.size();
    for (; slots_[slot] >= 0; slot = (slot + 1) % slots_.size()) {
      const Set& known = kept_[static_cast<size_t>(slots_[slot])];
      if (std::equal(places.begin(), places.end(), items_.begin() + known.begin,
                     items_.begin() + known.end)) {
        return slots_[slot];
      }
    }
    const auto begin = static_cast<uint32_t>(items_.size());
    items_.insert(items_.end(), places.begin(), places.end());
    const Set set = {begin, static_cast<uint32_t>(items_.size())};
    if (kept_.size() == kMostKept) {
      loose_.push_back({set, depth});
      return static_cast<SetId>(kMostKept + loose_.size() - 1);
    }
    slots_[slot] = static_cast<SetId>(kept_.size());
    kept_.push_back(set);
    next_.insert(next_.end(), 256, kNotTried);
    return slots_[slot];
  }

  Stepper& stepper_;
  size_t work_ = 0;  // of the walk itself
  size_t most_work_ = 0;
  bool found_ = false;
  std::vector<Item> items_;  // of all sets
  std::vector<Set> kept_;
  std::vector<SetId> next_;   // by kept set and byte
  std::vector<SetId> slots_;  // hash table of the kept sets; -1 marks a free slot
  std::vector<LooseSet> loose_;
  std::vector<SetId> path_ = {0};  // by depth
  std::vector<Item> places_;
};

// Characters after which the item may be unable to open another rule; runs are only sure before.
size_t run_within_nesting(const Automaton& automaton, const StackNodes& nodes, const Item& item) {
  const uint32_t used = nodes.depth(item.node) + automaton.greatest_height();
  return used >= kMaxOpenRules ? 0 : (kMaxOpenRules - used) / automaton.most_opened();
}

// A mask there is no time to find whole: tokens that are more frequent in text come first.
void find_frequent(const Vocabulary& vocabulary, Walk& walk, std::span<uint32_t> mask) {
  std::fill(mask.begin(), mask.end(), 0);
  walk.set_budget(kFrequentWork);
  for (const Vocabulary::Trie& trie : vocabulary.frequent()) {
    if (!walk.run(trie, mask, false)) return;
  }
  for (const Vocabulary::Bucket& bucket : vocabulary.buckets()) {
    if (!walk.run(bucket.trie, mask, false)) return;
  }
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
      run = std::max<size_t>(run, automaton.inner_run(item.state, text_class));
    }
  }
  const auto all_taken = [&](const Vocabulary::Bucket& bucket) {
    return bucket.most > 0 && bucket.most <= sure[static_cast<size_t>(bucket.text_class)];
  };
  Walk walk(stepper, items);
  walk.set_budget(kMaxMaskWork);
  bool whole = true;
  for (const Vocabulary::Bucket& bucket : vocabulary.buckets()) {
    if (bucket.least > longest || all_taken(bucket)) continue;
    whole = whole && walk.run(bucket.trie, mask, true);
  }
  if (!whole) find_frequent(vocabulary, walk, mask);
  for (const Vocabulary::Bucket& bucket : vocabulary.buckets()) {
    if (bucket.least > longest || !all_taken(bucket)) continue;
    for (size_t i = 0; i < mask.size(); ++i) mask[i] |= bucket.mask[i];
  }
  for (const Vocabulary::Twin& twin : vocabulary.twins()) {
    const auto [id, of] =
        std::pair(static_cast<uint32_t>(twin.token), static_cast<uint32_t>(twin.of));
    mask[id / 32] |= (mask[of / 32] >> of % 32 & 1U) << id % 32;
  }
}

}  // namespace fathom::grammar
