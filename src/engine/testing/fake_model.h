// A model for tests whose logits are a hash of the whole prefix, read back through the block
// tables. It keeps token, position and path (given or generated) of each row in a paged cache, so
// that a wrong slot, table, position, path or a block shared by mistake changes the answer or is
// reported. fake_logits() says what it must answer, from the tokens alone.
//
// With several data indices it has a cache for each.
//
// With two steps in flight each runs as late as the interface lets it.
//
// It can also draft: what it will answer itself, as far as a cache of its own holds the prefix, for
// as many in a hundred prefixes as it is told, and something else for the others.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "engine/testing/fake_step.h"
#include "models/causal_lm.h"
#include "sampling/sampler.h"

namespace fathom::engine {

inline uint64_t fake_mix(uint64_t value) {  // the finaliser of splitmix64
  value += 0x9E3779B97F4A7C15;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

inline uint64_t fake_extend(uint64_t hash, int32_t token, bool generated) {
  return fake_mix(hash ^ (static_cast<uint64_t>(token) * 2 + (generated ? 1 : 0)));
}

// Logits in [-4, 4) that follow from the hash of a prefix.
inline void fake_row(uint64_t hash, std::span<float> row) {
  for (size_t token = 0; token < row.size(); ++token) {
    const uint64_t bits = fake_mix(hash + token) >> 40;
    row[token] = static_cast<float>(bits) * 0x1p-21f - 4.0f;
  }
}

// What the model must answer after `tokens`, of which those from `given` on were generated.
inline std::vector<float> fake_logits(std::span<const int32_t> tokens, int64_t given,
                                      int64_t vocab_size) {
  uint64_t hash = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    hash = fake_extend(hash, tokens[i], static_cast<int64_t>(i) >= given);
  }
  std::vector<float> row(static_cast<size_t>(vocab_size));
  fake_row(hash, row);
  return row;
}

// What a test may have of it.
struct FakeOptions {
  // Called in each begin_step(), begin_draws() and finish_step(), on the engine's thread; an error
  // fails the call.
  using BeforeStep = std::function<Status(const models::StepBatch&)>;
  using Before = std::function<Status()>;

  BeforeStep before_step = {};
  Before before_draws = {};
  Before before_finish = {};
  std::optional<uint64_t> right_drafts = {};  // in a hundred; it can draft
  int64_t steps_in_flight = 1;
  std::optional<int32_t> spoilt_behind = {};  // logits behind this token are NaN
};

class FakeModel final : public models::CausalLm {
 public:
  FakeModel(int64_t vocab_size, const models::RunLimits& limits, FakeOptions options = {})
      : vocab_size_(vocab_size),
        limits_(limits),
        options_(std::move(options)),
        cache_(
            static_cast<size_t>(limits.data_indices * limits.num_kv_blocks * limits.kv_block_size)),
        following_(cache_.size()),
        owners_(static_cast<size_t>(limits.data_indices * limits.max_step_tokens)),
        scratch_(vocab_size),
        logits_(static_cast<size_t>(limits.data_indices * limits.max_logit_rows * vocab_size)),
        read_(logits_.size()) {
    drawn_.reserve(static_cast<size_t>(limits.data_indices * limits.max_logit_rows));
  }

  ~FakeModel() override { FATHOM_CHECK(in_flight_ == 0, "all steps are finished in the end"); }

  int64_t vocab_size() const override { return vocab_size_; }
  const models::RunLimits& limits() const override { return limits_; }
  int64_t max_steps_in_flight() const override { return options_.steps_in_flight; }

  // A step runs as late as it can: what was freed or changed too early by then is found changed.
  Status begin_step(const models::StepBatch& batch) override {
    FATHOM_CHECK(in_flight_ < options_.steps_in_flight, "so many steps may be in flight");
    FATHOM_CHECK(in_flight_ == 0 || steps_[0].has_draws, "the step before has its draws");
    check_sizes(batch);
    if (options_.before_step) FATHOM_TRY(failed_unless(options_.before_step(batch)));
    FakeStep& step = steps_[static_cast<size_t>(in_flight_)];
    step.keep(batch);
    for (const int32_t token : step.tokens) {
      const int64_t draw = int64_t{models::kFirstDrawn} - token;
      const bool is_drawn =
          in_flight_ == 1 && draw >= 0 && draw < static_cast<int64_t>(steps_[0].draws.size());
      FATHOM_CHECK((token >= 0 && token < vocab_size_) || is_drawn,
                   "the token is known, or drawn in the step before");
    }
    if (in_flight_ == 1) check_nothing_is_touched(step.batch());
    ++in_flight_;
    return {};
  }

  Status begin_draws(const models::StepDraws& draws) override {
    FATHOM_CHECK(in_flight_ > 0, "a step is begun");
    FakeStep& step = steps_[static_cast<size_t>(in_flight_ - 1)];
    FATHOM_CHECK(!std::exchange(step.has_draws, true), "a step is asked for draws once");
    FATHOM_CHECK(draws.rows.size() == draws.draws.size(), "a row a draw");
    if (options_.before_draws) FATHOM_TRY(failed_unless(options_.before_draws()));
    step.keep(draws);
    return {};
  }

  Result<models::StepResult> finish_step() override {
    FATHOM_CHECK(in_flight_ > 0 && steps_[0].has_draws, "a step with draws is in flight");
    if (options_.before_finish) FATHOM_TRY(failed_unless(options_.before_finish()));
    run(steps_[0]);
    std::swap(steps_[0], steps_[1]);
    --in_flight_;
    return models::StepResult{
        .tokens = drawn_,
        .logits = std::span(read_).first(rows_read_ * static_cast<size_t>(vocab_size_))};
  }

  // A block is its entries in both caches.
  models::KvBlockFormat kv_block_format() const override {
    return {.dtype = FATHOM_F32,
            .layers = 2,
            .block_size = limits_.kv_block_size,
            .latent = sizeof(Entry) / sizeof(float)};
  }

  Status read_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                        std::span<std::byte> out) override {
    FATHOM_CHECK(in_flight_ == 0, "blocks are read between steps");
    for (const int32_t block : blocks) {
      for (auto* cache : {&cache_, &following_}) {
        const auto entries = entries_of(*cache, data_index, block);
        std::memcpy(out.data(), entries.data(), entries.size_bytes());
        out = out.subspan(entries.size_bytes());
      }
    }
    return {};
  }

  Status write_kv_blocks(int64_t data_index, std::span<const int32_t> blocks,
                         std::span<const std::byte> in) override {
    FATHOM_CHECK(in_flight_ == 0, "blocks are written between steps");
    for (const int32_t block : blocks) {
      for (auto* cache : {&cache_, &following_}) {
        const auto entries = entries_of(*cache, data_index, block);
        std::memcpy(entries.data(), in.data(), entries.size_bytes());
        in = in.subspan(entries.size_bytes());
      }
    }
    return {};
  }

  bool can_draft() const override { return options_.right_drafts.has_value(); }

  Result<std::span<const float>> draft(const models::StepBatch& batch,
                                       std::span<const int32_t> rows) override {
    FATHOM_CHECK(in_flight_ == 0, "drafts are made between steps");
    check_sizes(batch);
    FATHOM_CHECK(rows.size() == batch.tokens.size(), "a hidden state a row");
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto source = static_cast<size_t>(rows[i]);
      FATHOM_CHECK(source < last_positions_.size() &&
                       last_positions_[source] + behind_draft_ == batch.positions[i],
                   "a row goes on from its own hidden state");
    }
    store_all(batch, following_);
    last_positions_.assign(batch.positions.begin(), batch.positions.end());
    behind_draft_ = 1;
    const auto vocab = static_cast<size_t>(vocab_size_);
    const std::span<float> logits(logits_.data(), batch.logit_rows.size() * vocab);
    for (size_t i = 0; i < batch.logit_rows.size(); ++i) {
      const auto row = static_cast<size_t>(batch.logit_rows[i]);
      const uint64_t hash =
          hash_behind(*owners_[row].sequence, batch.positions[row], owners_[row].data);
      const bool right = fake_mix(hash + 1) % 100 < *options_.right_drafts;
      fake_row(right ? hash : fake_mix(hash), logits.subspan(i * vocab, vocab));
    }
    return std::span<const float>(logits);
  }

 private:
  struct Entry {
    int32_t token = -1;
    int32_t position = -1;
    bool generated = false;
  };

  struct Owner {
    const models::SequenceRows* sequence = nullptr;
    int64_t data = 0;
  };

  Status failed_unless(Status status) {
    if (!status.ok()) in_flight_ = 0;  // as after any failure
    for (FakeStep& step : steps_) step.has_draws &= status.ok();
    return status;
  }

  void run(FakeStep& step) {
    for (int32_t& token : step.tokens) {
      if (token < 0) token = drawn_[static_cast<size_t>(models::kFirstDrawn - token)];
    }
    const models::StepBatch batch = step.batch();
    store_all(batch, cache_);
    last_positions_.assign(batch.positions.begin(), batch.positions.end());
    behind_draft_ = 0;
    for (size_t i = 0; i < batch.logit_rows.size(); ++i) {
      const auto row = static_cast<size_t>(batch.logit_rows[i]);
      const std::span<float> logits = row_of(logits_, i);
      fake_row(hash_before(*owners_[row].sequence, batch.positions[row], owners_[row].data),
               logits);
      if (batch.tokens[row] == options_.spoilt_behind) {
        std::ranges::fill(logits, std::numeric_limits<float>::quiet_NaN());
      }
    }
    drawn_.clear();
    for (const FakeDraw& draw : step.draws) {
      drawn_.push_back(
          sampling::sample(row_of(logits_, static_cast<size_t>(draw.row)), draw.draw(), scratch_)
              .value_or(-1));
    }
    rows_read_ = 0;
    for (const int32_t row : step.read) {
      std::ranges::copy(row_of(logits_, static_cast<size_t>(row)),
                        row_of(read_, rows_read_++).begin());
    }
    step.has_draws = false;
  }

  std::span<float> row_of(std::vector<float>& logits, size_t row) const {
    const auto vocab = static_cast<size_t>(vocab_size_);
    return std::span(logits).subspan(row * vocab, vocab);
  }

  // Of what the step in flight reads or writes, a step behind it writes nothing: each goes on from
  // where that ends.
  void check_nothing_is_touched(const models::StepBatch& batch) {
    touched_.assign(cache_.size(), false);
    for_slots(steps_[0].batch(), true, [&](size_t slot) { touched_[slot] = true; });
    for_slots(batch, false, [&](size_t slot) {
      FATHOM_CHECK(!touched_[slot], "a block is free when no step in flight touches it");
    });
  }

  // Those that the step writes, and reads.
  template <typename Body>
  void for_slots(const models::StepBatch& batch, bool with_read, const Body& body) const {
    for (const auto& list : {batch.given, batch.generated}) {
      for (const models::SequenceRows& sequence : list) {
        const int64_t data = data_of(batch, sequence);
        const int64_t end = sequence.context + sequence.query_count;
        for (int64_t at = with_read ? 0 : sequence.context; at < end; ++at) {
          body(of_data(slot_of(sequence, at), data));
        }
      }
    }
  }

  std::span<Entry> entries_of(std::vector<Entry>& cache, int64_t data_index, int32_t block) const {
    FATHOM_CHECK(block >= 0 && block < limits_.num_kv_blocks, "the block exists");
    const int64_t first = (data_index * limits_.num_kv_blocks + block) * limits_.kv_block_size;
    return std::span(cache).subspan(static_cast<size_t>(first),
                                    static_cast<size_t>(limits_.kv_block_size));
  }

  void check_sizes(const models::StepBatch& batch) const {
    const auto rows = static_cast<int64_t>(batch.tokens.size());
    FATHOM_CHECK(rows >= 1, "a step has rows");
    const auto fits = [&](int64_t each) { return each >= 0 && each <= limits_.max_step_tokens; };
    FATHOM_CHECK(std::ranges::all_of(batch.data_rows, fits), "rows fit the step");
    FATHOM_CHECK(
        std::accumulate(batch.data_rows.begin(), batch.data_rows.end(), int64_t{0}) == rows,
        "every row is of a replica");
    FATHOM_CHECK(batch.positions.size() == batch.tokens.size(), "a position a row");
    FATHOM_CHECK(batch.slots.size() == batch.tokens.size(), "a slot a row");
    FATHOM_CHECK(static_cast<int64_t>(batch.logit_rows.size()) <=
                     limits_.data_indices * limits_.max_logit_rows,
                 "logit rows fit the step");
    const auto most_sequences =
        static_cast<size_t>(limits_.data_indices * limits_.max_step_sequences);
    FATHOM_CHECK(batch.given.size() <= most_sequences && batch.generated.size() <= most_sequences,
                 "sequences fit the step");
    for (size_t i = 0; i < batch.logit_rows.size(); ++i) {
      FATHOM_CHECK(
          batch.logit_rows[i] < rows && (i == 0 || batch.logit_rows[i - 1] < batch.logit_rows[i]),
          "logit rows rise");
    }
  }

  // Among the slots of its replica.
  size_t slot_of(const models::SequenceRows& sequence, int64_t position) const {
    const auto index = static_cast<size_t>(position / limits_.kv_block_size);
    FATHOM_CHECK(index < sequence.block_table.size(), "the block table covers the position");
    const int64_t block = sequence.block_table[index];
    FATHOM_CHECK(block >= 0 && block < limits_.num_kv_blocks, "the block exists");
    return static_cast<size_t>(block * limits_.kv_block_size + position % limits_.kv_block_size);
  }

  void store_all(const models::StepBatch& batch, std::vector<Entry>& cache) {
    std::fill(owners_.begin(), owners_.end(), Owner{});
    for (const models::SequenceRows& sequence : batch.given) store(batch, sequence, false, cache);
    for (const models::SequenceRows& sequence : batch.generated)
      store(batch, sequence, true, cache);
    for (size_t row = 0; row < batch.tokens.size(); ++row) {
      FATHOM_CHECK(owners_[row].sequence != nullptr, "every row belongs to a sequence");
    }
  }

  void store(const models::StepBatch& batch, const models::SequenceRows& sequence, bool generated,
             std::vector<Entry>& cache) {
    FATHOM_CHECK(sequence.query_count >= 1, "an entry has rows");
    const int64_t data = data_of(batch, sequence);
    for (int64_t i = 0; i < sequence.query_count; ++i) {
      const auto row = static_cast<size_t>(sequence.query_begin + i);
      const int64_t position = sequence.context + i;
      FATHOM_CHECK(row < batch.tokens.size(), "an entry's rows are in the step");
      FATHOM_CHECK(std::exchange(owners_[row], {&sequence, data}).sequence == nullptr,
                   "a row belongs to one sequence");
      FATHOM_CHECK(batch.positions[row] == position && position < limits_.max_context,
                   "positions follow the context");
      const size_t slot = slot_of(sequence, position);
      FATHOM_CHECK(batch.slots[row] == static_cast<int64_t>(slot), "slots follow the block table");
      cache[of_data(slot, data)] = {batch.tokens[row], static_cast<int32_t>(position), generated};
    }
  }

  // Whose rows the entry's are: it ends before the next replica's begin.
  static int64_t data_of(const models::StepBatch& batch, const models::SequenceRows& sequence) {
    int64_t data = 0;
    int64_t end = batch.data_rows[0];
    while (sequence.query_begin >= end) end += batch.data_rows[static_cast<size_t>(++data)];
    FATHOM_CHECK(sequence.query_begin + sequence.query_count <= end, "an entry is of one replica");
    return data;
  }

  size_t of_data(size_t slot, int64_t data) const {
    return slot + static_cast<size_t>(data * limits_.num_kv_blocks * limits_.kv_block_size);
  }

  uint64_t hash_before(const models::SequenceRows& sequence, int64_t last, int64_t data) const {
    uint64_t hash = 0;
    for (int64_t position = 0; position <= last; ++position) {
      const Entry& entry = cache_[of_data(slot_of(sequence, position), data)];
      FATHOM_CHECK(entry.position == position, "the cache holds this position at its slot");
      hash = fake_extend(hash, entry.token, entry.generated);
    }
    return hash;
  }

  // Of the prefix that ends with the token after position `last`: all but its first token as the
  // drafting layer was shown them.
  uint64_t hash_behind(const models::SequenceRows& sequence, int64_t last, int64_t data) const {
    const auto at = [&](int64_t position) { return of_data(slot_of(sequence, position), data); };
    const Entry& first = cache_[at(0)];
    uint64_t hash = fake_extend(0, first.token, first.generated);
    for (int64_t position = 0; position <= last; ++position) {
      const bool ran = position < last && cache_[at(position + 1)].position == position + 1;
      const bool generated = !ran || cache_[at(position + 1)].generated;
      hash = fake_extend(hash, following_[at(position)].token, generated);
    }
    return hash;
  }

  int64_t vocab_size_;
  models::RunLimits limits_;
  FakeOptions options_;
  std::vector<Entry> cache_;
  std::vector<Entry> following_;         // the drafting layer's: at each position the next token
  std::vector<int32_t> last_positions_;  // of the rows of the last call
  int32_t behind_draft_ = 0;             // 1: that was draft()
  std::vector<Owner> owners_;            // of each row
  std::array<FakeStep, 2> steps_;        // in flight, the older one first
  int64_t in_flight_ = 0;
  std::vector<int32_t> drawn_;  // in the step that ran last
  sampling::SamplerScratch scratch_;
  std::vector<float> logits_;
  std::vector<float> read_;  // of these, those that were asked for
  size_t rows_read_ = 0;
  std::vector<bool> touched_;  // by slot, reused
};

}  // namespace fathom::engine
