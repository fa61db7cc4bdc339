// What the engine knows of a model: token ids in, next-token logits out, over a paged cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/abi.h"
#include "device/tensor.h"
#include "models/expert_loads.h"
#include "sampling/rule.h"

namespace fathom::models {

// The sizes that memory is planned for, once, before the first step. All but the last are of one
// data index: a model may be spread over several groups of ranks that have sequences and a cache of
// their own each.
struct RunLimits {
  int64_t max_step_tokens = 0;         // rows T of one step
  int64_t max_logit_rows = 0;          // rows L of one step whose logits are wanted
  int64_t max_context = 0;             // positions of one sequence
  int64_t max_step_sequences = 0;      // sequences in one step
  int64_t num_kv_blocks = 0;           // blocks in the cache of each layer
  int32_t kv_block_size = 0;           // positions a block
  fathom_dtype kv_dtype = FATHOM_F32;  // of what is cached
  int64_t data_indices = 1;
  bool may_draft = true;  // draft() may be called, from any row
};

// Rows of one sequence in a step: [query_begin, query_begin + query_count) hold its positions
// [context, context + query_count); every earlier position is in the cache. Position p lies in
// block block_table[p / kv_block_size], and the table covers all of them at least.
struct SequenceRows {
  int64_t query_begin = 0;
  int64_t query_count = 0;
  int64_t context = 0;
  std::span<const int32_t> block_table;
};

// One step's work, on the host. A row is one token of one sequence. Every row belongs to exactly
// one entry of `given` or `generated`, which say where its sequence's earlier latents are.
struct StepBatch {
  std::span<const int32_t> tokens;     // [T], in [0, vocab_size)
  std::span<const int32_t> positions;  // [T], in [0, max_context)
  std::span<const int64_t> slots;      // [T], block * kv_block_size + row: where the latent goes

  // Rows of given (prompt) tokens take the expanded attention, rows of generated tokens the
  // absorbed one, also when they are replayed later: so the same token always has the same bits.
  // A sequence may have an entry in each list in one step, the given part first.
  std::span<const SequenceRows> given;
  std::span<const SequenceRows> generated;

  std::span<const int32_t> logit_rows;  // [L], rising: rows whose next-token logits are wanted

  // Rows of each data index, whose rows stand together in this order. Slots and blocks are of the
  // row's data index. Empty where there is one.
  std::span<const int64_t> data_rows;
};

// KV blocks as engines hand them to each other (docs/kv-transfer.md), whatever the chip and the
// layout: a block is [layers][block_size][latent] numbers, of the model's layers in order and then
// of the drafting layer. The latent of a token is c_kv, normed, and then the rotated k_pe.
struct KvBlockFormat {
  fathom_dtype dtype = FATHOM_F32;
  int64_t layers = 0;      // 0: the model's blocks cannot be handed over
  int64_t block_size = 0;  // tokens
  int64_t latent = 0;

  bool operator==(const KvBlockFormat&) const = default;
};

// Bytes of one layer of a block, and of a block.
inline size_t kv_layer_bytes(const KvBlockFormat& format) {
  return static_cast<size_t>(format.block_size * format.latent) * device::dtype_size(format.dtype);
}
inline size_t kv_block_bytes(const KvBlockFormat& format) {
  return static_cast<size_t>(format.layers) * kv_layer_bytes(format);
}

// Blocks that are read or written in one call.
inline constexpr int64_t kMaxKvBlocksACall = 8;

// A token of StepBatch::tokens that draw i of the step before will draw: kFirstDrawn - i.
inline constexpr int32_t kFirstDrawn = -2;

// What a step is asked for beside its forward pass. Logit rows are counted among the L of the step.
struct StepDraws {
  // Tokens to be drawn, by sampling/rule.h; of draw i from the logits of row rows[i]. What the
  // spans in them point to is copied during the call.
  std::span<const sampling::Draw> draws;
  std::span<const int32_t> rows;
  // Rising: rows whose logits the host will read. All others stay where they are.
  std::span<const int32_t> read;
};

// Valid until the next begin_step(), begin_draws() or draft().
struct StepResult {
  std::span<const int32_t> tokens;  // of each draw; -1 where nothing may be drawn
  std::span<const float> logits;    // F32 [rows read, vocab_size]
};

class CausalLm {
 public:
  virtual ~CausalLm() = default;

  virtual int64_t vocab_size() const = 0;
  virtual const RunLimits& limits() const = 0;

  // A step in three parts, so that the host prepares the next one while the chip works. For each
  // step in turn: begin_step() queues its forward pass, begin_draws() what is asked for, and
  // finish_step() waits for the oldest step that has both. Up to max_steps_in_flight() steps may be
  // begun and not finished: with 2 of them begin_step() of a step may come before finish_step() of
  // the one before, and then its tokens may be drawn ones; its begin_draws() comes behind that. All
  // three allocate nothing, and none is thread-safe. A failure is a device failure (kInternal),
  // after which no step is in flight; the batch itself is the engine's and is checked as our own
  // code is.
  virtual int64_t max_steps_in_flight() const { return 1; }
  virtual Status begin_step(const StepBatch& batch) = 0;
  virtual Status begin_draws(const StepDraws& draws) = 0;
  virtual Result<StepResult> finish_step() = 0;

  // All three at once, with all logits [L, vocab_size] for the host: where nothing else is to run.
  Result<std::span<const float>> forward(const StepBatch& batch);

  // Whether draft() guesses further tokens.
  virtual bool can_draft() const { return false; }
  // Guesses from hidden states of the last step or draft(), while no step is in flight. Row i goes
  // on from row rows[i] of it, which had logits if it was draft(): batch.tokens[i] is the token
  // that follows it (for a row of draft(): the one it guessed). Behind a step a row keeps its
  // position, behind draft() it is the next one. Returns logits F32 [L, vocab_size] of the token
  // after batch.tokens[i], readable on the host until the next call. What it caches lies apart from
  // what steps do, at the same slots.
  virtual Result<std::span<const float>> draft(const StepBatch& /*batch*/,
                                               std::span<const int32_t> /*rows*/) {
    return Error{ErrorCode::kUnsupported, "draft: the model has no layer for it"};
  }

  // Bytes that were copied from the chip to the host since the start. Of the thread that runs
  // steps.
  virtual uint64_t copied_to_host() const { return 0; }

  // As last counted; null: never. Of the thread that runs steps.
  virtual std::shared_ptr<const ExpertLoads> expert_loads() const { return nullptr; }
  virtual ExpertExchanges expert_exchanges() const { return {}; }

  virtual KvBlockFormat kv_block_format() const { return {}; }
  // Copies up to kMaxKvBlocksACall blocks of a data index's cache out, or in, one behind the other
  // in kv_block_format(). Between steps, on their thread; a failure is a device failure.
  virtual Status read_kv_blocks(int64_t /*data_index*/, std::span<const int32_t> /*blocks*/,
                                std::span<std::byte> /*out*/) {
    return Error{ErrorCode::kUnsupported, "kv blocks: the model cannot hand them over"};
  }
  virtual Status write_kv_blocks(int64_t /*data_index*/, std::span<const int32_t> /*blocks*/,
                                 std::span<const std::byte> /*in*/) {
    return Error{ErrorCode::kUnsupported, "kv blocks: the model cannot take them over"};
  }

 private:
  std::vector<int32_t> all_rows_;  // 0, 1, ...: of forward()
};

}  // namespace fathom::models
