// Numbers the sets of places that a grammar's texts have reached and keeps their masks once
// computed. Shared by all matchers of a grammar, from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/stack_nodes.h"
#include "grammar/stepper.h"
#include "grammar/vocabulary.h"

namespace fathom::grammar {

using StateId = uint32_t;

class StateTable {
 public:
  StateTable(std::shared_ptr<const Automaton> automaton,
             std::shared_ptr<const Vocabulary> vocabulary);

  StateId start() const { return 0; }
  // The state after `bytes`; none if no text goes on with them.
  std::optional<StateId> advance(StateId state, std::string_view bytes);
  bool complete(StateId state);
  // Whether any byte may follow.
  bool continues(StateId state);
  // Writes the tokens allowed at `state`, end tokens among them where the text is complete.
  void mask(StateId state, std::span<uint32_t> out);
  void prepare_mask(StateId state);  // finds it, if it is not known yet
  bool mask_known(StateId state);
  // The bytes that must follow, whatever text comes; at most `most`.
  std::string forced(StateId state, size_t most);

  size_t bytes();
  // Whether the table has grown so large that matchers should move to a new one.
  bool full();
  // The numbers in this table of states of `from`, which must be of the same automaton.
  std::vector<StateId> adopt(StateTable& from, std::span<const StateId> states);

 private:
  static const size_t kCapacity;
  // Few tokens are kept as their ids, many as words.
  struct Mask {
    std::vector<TokenId> tokens;
    std::vector<uint32_t> words;
  };
  struct State {
    std::vector<Item> items;
    std::unique_ptr<Mask> mask;
  };
  struct ItemsHash {
    size_t operator()(const std::vector<Item>& items) const { return hash_of(items); }
  };

  StateId find(std::vector<Item> items);
  const Mask& mask_of(State& state);
  NodeId adopt_node(const StackNodes& from, NodeId node, std::unordered_map<NodeId, NodeId>& known);

  std::shared_ptr<const Automaton> automaton_;
  std::shared_ptr<const Vocabulary> vocabulary_;
  std::mutex mutex_;  // guards all below
  StackNodes nodes_;
  Stepper stepper_;
  std::vector<State> states_;
  std::unordered_map<std::vector<Item>, StateId, ItemsHash> ids_;
  size_t state_bytes_ = 0;
  size_t adopted_bytes_ = 0;
};

}  // namespace fathom::grammar
