#include "grammar/state_table.h"

#include <algorithm>
#include <bit>
#include <string>

#include "grammar/mask.h"
#include "grammar/rules/limits.h"

namespace fathom::grammar {

const size_t StateTable::kCapacity = kStateTableBytes;

StateTable::StateTable(std::shared_ptr<const Automaton> automaton,
                       std::shared_ptr<const Vocabulary> vocabulary)
    : automaton_(std::move(automaton)),
      vocabulary_(std::move(vocabulary)),
      stepper_(*automaton_, nodes_) {
  std::vector<Item> items;
  stepper_.start(items);
  find(std::move(items));
}

StateId StateTable::find(std::vector<Item> items) {
  std::sort(items.begin(), items.end());
  const auto [place, is_new] =
      ids_.try_emplace(std::move(items), static_cast<StateId>(states_.size()));
  if (is_new) {
    states_.push_back({place->first, nullptr});
    // Twice the items, in the map and here, and about what a map's node and a vector cost.
    state_bytes_ += 2 * place->first.size() * sizeof(Item) + 128;
  }
  return place->second;
}

std::optional<StateId> StateTable::advance(StateId state, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  std::vector<Item> items = states_[state].items;
  for (const char byte : bytes) {
    const size_t count = items.size();
    stepper_.step(0, count, static_cast<uint8_t>(byte), items);
    items.erase(items.begin(), items.begin() + static_cast<ptrdiff_t>(count));
    if (items.empty()) return std::nullopt;
  }
  return find(std::move(items));
}

bool StateTable::complete(StateId state) {
  const std::lock_guard lock(mutex_);
  return stepper_.complete(states_[state].items);
}

bool StateTable::continues(StateId state) {
  const std::lock_guard lock(mutex_);
  const std::vector<Item>& items = states_[state].items;
  return std::any_of(items.begin(), items.end(),
                     [this](const Item& item) { return !automaton_->edges(item.state).empty(); });
}

void StateTable::prepare_mask(StateId state) {
  const std::lock_guard lock(mutex_);
  mask_of(states_[state]);
}

bool StateTable::mask_known(StateId state) {
  const std::lock_guard lock(mutex_);
  return states_[state].mask != nullptr;
}

void StateTable::mask(StateId state, std::span<uint32_t> out) {
  const std::lock_guard lock(mutex_);
  const Mask& mask = mask_of(states_[state]);
  const size_t words = vocabulary_->mask_words();
  FATHOM_CHECK(out.size() >= words, "a mask has a bit for every token");
  if (mask.words.empty()) {
    std::fill(out.begin(), out.end(), 0);
    for (const TokenId id : mask.tokens) out[id / 32] |= 1U << id % 32;
  } else {
    std::copy(mask.words.begin(), mask.words.end(), out.begin());
    std::fill(out.begin() + static_cast<ptrdiff_t>(words), out.end(), 0);
  }
}

const StateTable::Mask& StateTable::mask_of(State& state) {
  if (state.mask != nullptr) return *state.mask;
  state.mask = std::make_unique<Mask>();
  std::vector<uint32_t> words(vocabulary_->mask_words());
  const size_t nodes = nodes_.count();
  compute_mask(*vocabulary_, *automaton_, nodes_, stepper_, state.items, words);
  nodes_.truncate(nodes);  // most places behind tokens are never reached
  if (stepper_.complete(state.items)) {
    for (const TokenId id : vocabulary_->end_tokens()) words[id / 32] |= 1U << id % 32;
  }
  size_t count = 0;
  for (const uint32_t word : words) count += static_cast<size_t>(std::popcount(word));
  if (count < words.size()) {
    for (size_t i = 0; i < words.size(); ++i) {
      for (uint32_t word = words[i]; word != 0; word &= word - 1) {
        state.mask->tokens.push_back(static_cast<TokenId>(i * 32 + std::countr_zero(word)));
      }
    }
    state.mask->tokens.shrink_to_fit();
  } else {
    state.mask->words = std::move(words);
  }
  state_bytes_ += sizeof(Mask) + 4 * (state.mask->tokens.size() + state.mask->words.size());
  return *state.mask;
}

std::string StateTable::forced(StateId state, size_t most) {
  const std::lock_guard lock(mutex_);
  std::string text;
  std::vector<Item> items = states_[state].items;
  while (text.size() < most && !stepper_.complete(items)) {
    std::optional<uint8_t> only;
    for (const Item& item : items) {
      for (const Nfa::ByteEdge& edge : automaton_->edges(item.state)) {
        const bool single = edge.bytes.first == edge.bytes.last;
        if (!single || only.value_or(edge.bytes.first) != edge.bytes.first) return text;
        only = edge.bytes.first;
      }
    }
    if (!only.has_value()) return text;
    const size_t count = items.size();
    stepper_.step(0, count, *only, items);
    items.erase(items.begin(), items.begin() + static_cast<ptrdiff_t>(count));
    if (items.empty()) return text;  // one more rule than may be open
    text += static_cast<char>(*only);
  }
  return text;
}

size_t StateTable::bytes() {
  const std::lock_guard lock(mutex_);
  return state_bytes_ + nodes_.bytes();
}

bool StateTable::full() {
  const std::lock_guard lock(mutex_);
  return state_bytes_ + nodes_.bytes() > kCapacity + 2 * adopted_bytes_;
}

std::vector<StateId> StateTable::adopt(StateTable& from, std::span<const StateId> states) {
  const std::scoped_lock lock(mutex_, from.mutex_);
  std::unordered_map<NodeId, NodeId> known = {{StackNodes::kBottom, StackNodes::kBottom}};
  const size_t before = state_bytes_ + nodes_.bytes();
  std::vector<StateId> result;
  for (const StateId state : states) {
    std::vector<Item> items = from.states_[state].items;
    for (Item& item : items) item.node = adopt_node(from.nodes_, item.node, known);
    result.push_back(find(std::move(items)));
  }
  adopted_bytes_ += state_bytes_ + nodes_.bytes() - before;
  return result;
}

// Recurses once a level of nesting, kMaxOpenRules at most.
NodeId StateTable::adopt_node(const StackNodes& from, NodeId node,
                              std::unordered_map<NodeId, NodeId>& known) {
  if (const auto found = known.find(node); found != known.end()) return found->second;
  const auto old = from.frames(node);
  std::vector<Frame> frames(old.begin(), old.end());
  for (Frame& frame : frames) frame.node = adopt_node(from, frame.node, known);
  std::sort(frames.begin(), frames.end());
  const NodeId result = nodes_.find(frames);
  known.emplace(node, result);
  return result;
}

}  // namespace fathom::grammar
