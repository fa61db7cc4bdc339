#include "engine/speculate/drafter.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "engine/step/draws.h"

namespace fathom::engine {

Drafter::Drafter(const DrafterOptions& options, ModelRunner& runner,
                 sampling::SamplerScratch& scratch)
    : options_(options),
      runner_(runner),
      scratch_(scratch),
      policy_(options.max_sequences, options.always) {
  rows_.reserve(static_cast<size_t>(options.max_sequences));
}

void Drafter::begin_step(std::span<const Chunk> chunks) {
  rows_.clear();
  decoding_ = 0;
  drafts_ = 0;
  for (const Chunk& chunk : chunks) {
    decoding_ += chunk.sequence->remaining() == 1 ? 1 : 0;
    drafts_ += chunk.sequence->drafts;
  }
  only_decodes_ = decoding_ == static_cast<int64_t>(chunks.size());
}

void Drafter::add(Sequence& sequence, int64_t begin, int64_t source) {
  if (!drafts()) return;
  const bool shown = room(sequence) > 0 || sequence.exports_kv;
  // The last row of a prompt that nothing is generated behind has no token to go with it.
  const int64_t end = std::min(sequence.computed, sequence.length() - 1);
  if (shown && begin < end) rows_.push_back({&sequence, begin, end, source, false});
}

void Drafter::draft() {
  if (!drafts()) return;
  if (only_decodes_ && drafting_seconds_) {
    policy_.measured(decoding_, drafts_, seconds_ + *drafting_seconds_);
  }
  const auto begin = std::chrono::steady_clock::now();
  choose();
  while (!rows_.empty()) {
    const auto logits = runner_.draft(rows_);
    if (!logits.ok()) {  // a device that fails will fail the next step too, which tells
      log_warning("draft: {}", logits.error().message);
      break;
    }
    extend(*logits);
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  drafting_seconds_.reset();
  if (only_decodes_) drafting_seconds_ = spent.count();
}

// How many more drafts the sequence has a use for: its answer ends, and so does its block table.
int64_t Drafter::room(const Sequence& sequence) const {
  const int64_t answer_left = sequence.max_new - sequence.generated() - 1;
  return std::min(options_.drafts, answer_left) - sequence.drafts;
}

// Leaves the rows to show to the layer and marks those to draft behind.
void Drafter::choose() {
  const auto decoding = std::count_if(rows_.begin(), rows_.end(), [](const DraftRows& part) {
    return part.sequence->remaining() == 1;
  });
  const double break_even = policy_.break_even(decoding);
  const bool probe = only_decodes_ && decoding > 0 && policy_.probe(decoding);
  const bool pays = std::any_of(rows_.begin(), rows_.end(), [&](const DraftRows& part) {
    return part.sequence->draft_success >= break_even;
  });
  for (DraftRows& part : rows_) part.wants_logits = part.sequence->remaining() == 1;
  std::erase_if(rows_, [&](const DraftRows& part) {
    return probe ? pays : part.sequence->draft_success < break_even;
  });
}

// Draws a draft from each row of logits, and leaves the rows that more can be drafted behind.
void Drafter::extend(std::span<const float> logits) {
  const auto vocab = static_cast<size_t>(runner_.model().vocab_size());
  const int64_t block_size = runner_.model().limits().kv_block_size;
  size_t kept = 0;
  int64_t rows = 0;
  for (const DraftRows& part : rows_) {
    rows += part.end - part.begin;
    if (!part.wants_logits) continue;
    Sequence& sequence = *part.sequence;
    const auto length = static_cast<int64_t>(sequence.tokens.size());
    const auto token =
        sampling::sample(logits.first(vocab), draw_of(sequence, length, scratch_.mask), scratch_);
    logits = logits.subspan(vocab);
    if (!token || sequence.stops_at(*token)) continue;
    sequence.tokens.push_back(*token);
    ++sequence.drafts;
    const bool has_block = part.end < static_cast<int64_t>(sequence.blocks.size()) * block_size;
    if (room(sequence) > 0 && has_block) {
      rows_[kept++] = {&sequence, part.end, part.end + 1, rows - 1, true};
    }
  }
  rows_.resize(kept);
}

}  // namespace fathom::engine
