// What a step's kernels read besides activations: tokens, positions, slots, which rows have logits,
// and the sequences with their block tables. It is laid out once a step in the host's memory and
// goes to the chip's by one copy, as long as what is used. Its parts are at places that depend on
// the step's bucket alone, so that work recorded for a bucket can run again with other contents.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/sharding/parallel_layout.h"
#include "models/deepseek_v3/step/logit_rows.h"
#include "models/deepseek_v3/step/staging.h"

namespace fathom::models::deepseek_v3 {

// How much a step's metadata has room for: powers of two within the limits; of positions powers of
// four from kLeastPositions on, for they only bound how kernels divide a context.
struct StepBucket {
  static constexpr int64_t kLeastPositions = 1024;

  // kept: the rows that go on through the last block; null where all do.
  static StepBucket of(const StepBatch& batch, const LogitRows* kept, const RunLimits& limits);
  static StepBucket largest(const RunLimits& limits);
  static int64_t rounded_positions(int64_t positions, const RunLimits& limits);

  int64_t rows = 0;
  int64_t logit_rows = 0;
  int64_t sequences = 0;  // in each list
  int64_t positions = 0;  // of one sequence

  bool operator==(const StepBucket&) const = default;
};

// The lists of sequences: of all rows, and of kept ones.
enum SequenceList { kGiven, kGenerated, kKeptGiven, kKeptGenerated, kSequenceLists };

// Where a bucket's parts begin, in bytes.
struct MetadataLayout {
  explicit MetadataLayout(const StepBucket& bucket);

  size_t tokens = 0;      // int32 [rows]
  size_t positions = 0;   // int32 [rows]
  size_t slots = 0;       // int64 [rows]
  size_t sources = 0;     // int32 [rows]
  size_t logit_rows = 0;  // int32 [logit_rows]
  size_t rows = 0;        // int32: how many of the rows are no padding
  size_t counts = 0;      // int32 [kSequenceLists]: how many sequences each list has
  std::array<size_t, kSequenceLists> sequences = {};  // fathom_sequence [sequences] each
  size_t blocks = 0;                                  // int32: block tables, to the end
};

// The same in the chip's memory. T rows, L of them with logits.
struct StepInputs {
  int32_t* tokens = nullptr;            // [T] rows of the rank's part of the embedding, or -1
  const int32_t* positions = nullptr;   // [T]
  const int64_t* slots = nullptr;       // [T]
  const int32_t* sources = nullptr;     // [T] hidden states that drafted rows go on from
  const int32_t* logit_rows = nullptr;  // [L]
  const int32_t* rows = nullptr;        // one number: rows from it on are padding
  std::array<fathom_sequences, kSequenceLists> sequences = {};
};

class StepMetadata {
 public:
  static size_t max_bytes(const RunLimits& limits);
  // Block numbers that there is room for.
  static int64_t max_blocks(const RunLimits& limits);

  StepMetadata() = default;
  // In device memory of max_bytes(). tokens: the part of the vocabulary whose embedding this rank
  // has.
  static Result<StepMetadata> make(device::Device& device, void* memory, const RunLimits& limits,
                                   const Range& tokens, int64_t vocab_size);

  // Lays a step out and queues its copy. sources: as many as rows, or none. The chip must be done
  // with this object's last copy.
  Result<StepInputs> upload(const StepBatch& batch, std::span<const int32_t> sources,
                            const LogitRows* kept);
  // Likewise a step of generated rows, in a bucket that takes it, as inputs_of() says where. Rows
  // that are left are padding: they have no token and no sequence, and their latents go to rows of
  // their own in the block behind those that limits.num_kv_blocks counts.
  Status upload_padded(const StepBatch& batch, const StepBucket& bucket);
  StepInputs inputs_of(const StepBucket& bucket) const;

 private:
  template <typename T>
  T* host(size_t offset) const {
    return reinterpret_cast<T*>(staging_.host(memory_) + offset);
  }
  void write_rows(const MetadataLayout& layout, const StepBatch& batch,
                  std::span<const int32_t> sources) const;
  void write_tokens(int32_t* to, std::span<const int32_t> tokens) const;
  void write_padding(const MetadataLayout& layout, int64_t first_row, int64_t rows) const;
  // Writes a list and appends its block tables to the `blocks` that are there; how many there are.
  int64_t write_list(const MetadataLayout& layout, SequenceList list,
                     std::span<const SequenceRows> sequences, int64_t blocks) const;
  void write_kept_list(const MetadataLayout& layout, SequenceList list,
                       std::span<const SequenceRows> kept, SequenceList whole_list,
                       std::span<const SequenceRows> whole) const;
  Status put(const MetadataLayout& layout, int64_t blocks);
  // Of lists that are empty.
  StepInputs inputs(const MetadataLayout& layout, const StepBucket& bucket) const;

  RunLimits limits_;
  Range tokens_;
  int64_t vocab_size_ = 0;
  std::byte* memory_ = nullptr;
  Staging staging_;
};

}  // namespace fathom::models::deepseek_v3
