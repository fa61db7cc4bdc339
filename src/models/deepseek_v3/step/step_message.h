// What rank 0 tells the other ranks of a step before it: which call of the model it is, and the
// rows of each data index. A message is
//   MessageHead, and for calls with rows: size of each data index's part (int64), the parts;
// a part is
//   PartHead, slots, sequences (MessageSequence), block tables, tokens, positions, logit rows,
//   sources (of drafts),
// for calls with KV blocks: their data index, count and numbers; and for draws: of each data index
// whether it has some (int64), for they go to the rank that draws them alone. All as they lie in
// memory (ranks are equal builds), each part padded to 8 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/step/batch_slice.h"

namespace fathom::models::deepseek_v3 {

enum class StepKind : int64_t {
  kForward,
  kDraws,  // of the forward pass before
  kDraft,
  kBalance,
  kReadBlocks,
  kWriteBlocks,
  kEnd
};

// One data index's part of a step.
struct StepPart {
  StepBatch batch;
  std::span<const int32_t> sources;  // of drafts: rows of the part of the call before
};

// The parts of a step.
class StepParts {
 public:
  explicit StepParts(const RunLimits& limits);

  // sources: of drafts; counted over all rows of the call before. The arrays must outlive the
  // parts.
  void split(const StepBatch& batch, std::span<const int32_t> sources);
  size_t size() const { return rows_.size(); }
  StepPart operator[](size_t data) const;
  int64_t most_rows() const;  // of a part

 private:
  std::vector<BatchSlice> rows_;
  std::vector<int32_t> sources_;
  std::vector<int64_t> begins_,
      begins_before_;  // first row of each part, of this call and the last
};

// KV blocks of one data index.
struct BlockList {
  int64_t data_index = 0;
  std::span<const int32_t> blocks;  // kMaxKvBlocksACall at most
};

// Bytes of a message at most.
size_t max_message_bytes(const RunLimits& limits);

// A message to be sent, in memory that is set aside once.
class StepMessageWriter {
 public:
  explicit StepMessageWriter(const RunLimits& limits) {
    message_.reserve(max_message_bytes(limits));
  }

  // microbatches: how many parts a pipeline's stages pass on.
  std::span<std::byte> write(StepKind kind, int64_t microbatches, const StepParts& parts);
  std::span<std::byte> write(StepKind kind, const BlockList& list);
  // Whether each data index draws tokens or reads logits.
  std::span<std::byte> write_draws(std::span<const int64_t> has_draws);

 private:
  std::span<std::byte> finish(StepKind kind, int64_t microbatches);

  std::vector<std::byte> message_;
};

// A message that came, and one part of it.
class StepMessageReader {
 public:
  StepMessageReader(const RunLimits& limits, int64_t data);

  // Memory for a message; how long the one is of which the first kMessageStart bytes are there.
  std::span<std::byte> memory() { return message_; }
  Result<size_t> size() const;
  // Error: kDataCorrupt, where it is not what a StepMessageWriter writes within these limits.
  Result<StepKind> read();
  const StepPart& part() const { return part_; }
  int64_t microbatches() const { return microbatches_; }
  const BlockList& blocks() const { return blocks_; }
  bool has_draws() const { return has_draws_; }

 private:
  Status read_blocks(std::span<const std::byte> bytes);
  Status read_draws(std::span<const std::byte> bytes);
  Status read_part(std::span<const std::byte> bytes, StepKind kind);

  RunLimits limits_;
  int64_t data_;
  std::vector<std::byte> message_;
  std::vector<SequenceRows> sequences_;
  StepPart part_;
  BlockList blocks_;
  bool has_draws_ = false;
  int64_t microbatches_ = 1;
};

// Every message is at least this long, so that short ones arrive whole at once.
inline constexpr size_t kMessageStart = 4096;

}  // namespace fathom::models::deepseek_v3
