#include "grammar/compiled_grammar.h"

#include <algorithm>

#include "grammar/rules/rules_text.h"

namespace fathom::grammar {

CompiledGrammar::CompiledGrammar(Automaton automaton, std::shared_ptr<const Vocabulary> vocabulary,
                                 const Grammar& grammar)
    : automaton_(std::make_shared<const Automaton>(std::move(automaton))),
      vocabulary_(std::move(vocabulary)),
      notes_(grammar.notes()),
      rules_(write_rules(grammar)),
      table_(std::make_shared<StateTable>(automaton_, vocabulary_)) {}

Result<std::shared_ptr<const CompiledGrammar>> CompiledGrammar::build(
    const Grammar& grammar, std::shared_ptr<const Vocabulary> vocabulary) {
  FATHOM_ASSIGN(Automaton automaton, Automaton::build(grammar));
  return std::shared_ptr<const CompiledGrammar>(
      new CompiledGrammar(std::move(automaton), std::move(vocabulary), grammar));
}

size_t CompiledGrammar::bytes() const {
  const std::lock_guard lock(mutex_);
  return automaton_->bytes() + table_->bytes() + rules_.size();
}

std::shared_ptr<StateTable> CompiledGrammar::table() const {
  const std::lock_guard lock(mutex_);
  if (table_->full()) table_ = std::make_shared<StateTable>(automaton_, vocabulary_);
  return table_;
}

Matcher::Matcher(std::shared_ptr<const CompiledGrammar> grammar)
    : grammar_(std::move(grammar)), table_(grammar_->table()), history_{{table_->start(), false}} {}

void Matcher::fill_mask(std::span<uint32_t> mask) {
  if (finished()) {
    std::fill(mask.begin(), mask.end(), 0);
    return;
  }
  leave_full_table();
  table_->mask(history_.back().state, mask);
}

void Matcher::prepare_mask() {
  if (finished()) return;
  leave_full_table();
  table_->prepare_mask(history_.back().state);
}

bool Matcher::accept(TokenId token) {
  const Vocabulary& vocabulary = grammar_->vocabulary();
  if (finished() || token < 0 || static_cast<size_t>(token) >= vocabulary.size()) return false;
  const StateId state = history_.back().state;
  if (vocabulary.is_end(token)) {
    if (!can_end()) return false;
    history_.push_back({state, true});
    return true;
  }
  return vocabulary.usable(token) && accept_text(vocabulary.bytes(token));
}

bool Matcher::accept_text(std::string_view bytes) {
  if (finished()) return false;
  leave_full_table();
  const auto next = table_->advance(history_.back().state, bytes);
  if (!next.has_value()) return false;
  history_.push_back({*next, false});
  return true;
}

void Matcher::rollback(size_t count) {
  FATHOM_CHECK(count <= token_count(), "only accepted tokens can be taken back");
  history_.resize(history_.size() - count);
}

bool Matcher::can_end() {
  return table_->complete(history_.back().state);
}

std::string Matcher::forced_text(size_t most_bytes) {
  return finished() ? std::string() : table_->forced(history_.back().state, most_bytes);
}

void Matcher::leave_full_table() {
  if (!table_->full()) return;
  const std::shared_ptr<StateTable> table = grammar_->table();
  if (table == table_) return;
  std::vector<StateId> states;
  for (const Step& step : history_) states.push_back(step.state);
  states = table->adopt(*table_, states);
  for (size_t i = 0; i < states.size(); ++i) history_[i].state = states[i];
  table_ = table;
}

}  // namespace fathom::grammar
