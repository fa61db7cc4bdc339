#include "models/deepseek_v3/step/step_metadata.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace fathom::models::deepseek_v3 {
namespace {

// Each part begins where kernels may read 16 bytes at once.
constexpr size_t kAlignment = 16;

int64_t rounded_up(int64_t count, int64_t limit) {
  if (count == 0) return 0;
  return std::min(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count))), limit);
}

int64_t blocks_of(int64_t positions, int64_t block_size) {
  return (positions + block_size - 1) / block_size;
}

int64_t end_of(const SequenceRows& sequence) {
  return sequence.context + sequence.query_count;
}

int64_t longest(std::span<const SequenceRows> sequences) {
  int64_t most = 0;
  for (const SequenceRows& each : sequences) most = std::max(most, end_of(each));
  return most;
}

fathom_sequence on_chip(const SequenceRows& rows, int32_t block_begin) {
  return {static_cast<int32_t>(rows.query_begin), static_cast<int32_t>(rows.query_count),
          static_cast<int32_t>(rows.context), block_begin};
}

}  // namespace

StepBucket StepBucket::of(const StepBatch& batch, const LogitRows* kept, const RunLimits& limits) {
  size_t sequences = std::max(batch.given.size(), batch.generated.size());
  if (kept != nullptr) {
    sequences = std::max({sequences, kept->given().size(), kept->generated().size()});
  }
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  const int64_t positions = std::max(longest(batch.given), longest(batch.generated));
  FATHOM_CHECK(rows <= limits.max_step_tokens, "step: more rows than planned for");
  FATHOM_CHECK(static_cast<int64_t>(batch.logit_rows.size()) <= limits.max_logit_rows,
               "step: more logit rows than planned for");
  FATHOM_CHECK(static_cast<int64_t>(sequences) <= limits.max_step_sequences,
               "step: more sequences than planned for");
  FATHOM_CHECK(positions <= limits.max_context, "step: more positions than planned for");
  const int64_t rounded_rows = rounded_up(rows, limits.max_step_tokens);
  return {.rows = rounded_rows,
          .logit_rows = std::min(rounded_rows, limits.max_logit_rows),
          .sequences = rounded_up(static_cast<int64_t>(sequences), limits.max_step_sequences),
          .positions = rounded_positions(positions, limits)};
}

int64_t StepBucket::rounded_positions(int64_t positions, const RunLimits& limits) {
  if (positions == 0) return 0;
  int64_t rounded = kLeastPositions;
  while (rounded < positions) rounded *= 4;
  return std::min(rounded, limits.max_context);
}

StepBucket StepBucket::largest(const RunLimits& limits) {
  return {.rows = limits.max_step_tokens,
          .logit_rows = std::min(limits.max_step_tokens, limits.max_logit_rows),
          .sequences = limits.max_step_sequences,
          .positions = limits.max_context};
}

MetadataLayout::MetadataLayout(const StepBucket& bucket) {
  size_t end = 0;
  const auto take = [&end](int64_t count, size_t size) {
    const size_t begin = end;
    end += (static_cast<size_t>(count) * size + kAlignment - 1) / kAlignment * kAlignment;
    return begin;
  };
  tokens = take(bucket.rows, sizeof(int32_t));
  positions = take(bucket.rows, sizeof(int32_t));
  slots = take(bucket.rows, sizeof(int64_t));
  sources = take(bucket.rows, sizeof(int32_t));
  logit_rows = take(bucket.logit_rows, sizeof(int32_t));
  rows = take(1, sizeof(int32_t));
  counts = take(kSequenceLists, sizeof(int32_t));
  for (size_t& list : sequences) list = take(bucket.sequences, sizeof(fathom_sequence));
  blocks = end;
}

// A sequence may be in both lists.
int64_t StepMetadata::max_blocks(const RunLimits& limits) {
  return 2 * limits.max_step_sequences * blocks_of(limits.max_context, limits.kv_block_size);
}

size_t StepMetadata::max_bytes(const RunLimits& limits) {
  return MetadataLayout(StepBucket::largest(limits)).blocks +
         static_cast<size_t>(max_blocks(limits)) * sizeof(int32_t);
}

Result<StepMetadata> StepMetadata::make(device::Device& device, void* memory,
                                        const RunLimits& limits, const Range& tokens,
                                        int64_t vocab_size) {
  StepMetadata metadata;
  metadata.limits_ = limits;
  metadata.tokens_ = tokens;
  metadata.vocab_size_ = vocab_size;
  metadata.memory_ = static_cast<std::byte*>(memory);
  FATHOM_ASSIGN(metadata.staging_, Staging::make(device, max_bytes(limits)));
  return metadata;
}

Result<StepInputs> StepMetadata::upload(const StepBatch& batch, std::span<const int32_t> sources,
                                        const LogitRows* kept) {
  const StepBucket bucket = StepBucket::of(batch, kept, limits_);
  const MetadataLayout layout(bucket);
  write_rows(layout, batch, sources);
  int64_t blocks = write_list(layout, kGiven, batch.given, 0);
  blocks = write_list(layout, kGenerated, batch.generated, blocks);
  const auto kept_given = kept != nullptr ? kept->given() : std::span<const SequenceRows>();
  const auto kept_generated = kept != nullptr ? kept->generated() : std::span<const SequenceRows>();
  write_kept_list(layout, kKeptGiven, kept_given, kGiven, batch.given);
  write_kept_list(layout, kKeptGenerated, kept_generated, kGenerated, batch.generated);
  FATHOM_TRY(put(layout, blocks));

  StepInputs in = inputs(layout, bucket);
  const auto fill = [&](SequenceList list, std::span<const SequenceRows> sequences, size_t rows) {
    if (sequences.empty()) return;
    in.sequences[list].max_sequences = static_cast<int32_t>(bucket.sequences);
    in.sequences[list].max_queries = static_cast<int32_t>(rows);
  };
  fill(kGiven, batch.given, batch.tokens.size());
  fill(kGenerated, batch.generated, batch.tokens.size());
  fill(kKeptGiven, kept_given, batch.logit_rows.size());
  fill(kKeptGenerated, kept_generated, batch.logit_rows.size());
  return in;
}

Status StepMetadata::upload_padded(const StepBatch& batch, const StepBucket& bucket) {
  const MetadataLayout layout(bucket);
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  FATHOM_CHECK(batch.given.empty() && rows <= bucket.rows, "step: expected a bucket that takes it");
  write_rows(layout, batch, {});
  write_padding(layout, rows, bucket.rows);
  for (const SequenceList list : {kGiven, kKeptGiven, kKeptGenerated}) {
    host<int32_t>(layout.counts)[list] = 0;
  }
  return put(layout, write_list(layout, kGenerated, batch.generated, 0));
}

StepInputs StepMetadata::inputs_of(const StepBucket& bucket) const {
  StepInputs in = inputs(MetadataLayout(bucket), bucket);
  in.sequences[kGenerated].max_sequences = static_cast<int32_t>(bucket.sequences);
  in.sequences[kGenerated].max_queries = static_cast<int32_t>(bucket.rows);
  return in;
}

Status StepMetadata::put(const MetadataLayout& layout, int64_t blocks) {
  return staging_.put(memory_, layout.blocks + static_cast<size_t>(blocks) * sizeof(int32_t));
}

void StepMetadata::write_rows(const MetadataLayout& layout, const StepBatch& batch,
                              std::span<const int32_t> sources) const {
  write_tokens(host<int32_t>(layout.tokens), batch.tokens);
  std::ranges::copy(batch.positions, host<int32_t>(layout.positions));
  std::ranges::copy(batch.slots, host<int64_t>(layout.slots));
  std::ranges::copy(sources, host<int32_t>(layout.sources));
  std::ranges::copy(batch.logit_rows, host<int32_t>(layout.logit_rows));
  *host<int32_t>(layout.rows) = static_cast<int32_t>(batch.tokens.size());
}

void StepMetadata::write_padding(const MetadataLayout& layout, int64_t first_row,
                                 int64_t rows) const {
  FATHOM_CHECK(rows - first_row <= limits_.kv_block_size, "step: expected less padding");
  int64_t slot = limits_.num_kv_blocks * limits_.kv_block_size;
  for (int64_t row = first_row; row < rows; ++row) {
    host<int32_t>(layout.tokens)[row] = -1;
    host<int32_t>(layout.positions)[row] = 0;
    host<int64_t>(layout.slots)[row] = slot++;
  }
}

void StepMetadata::write_tokens(int32_t* to, std::span<const int32_t> tokens) const {
  if (tokens_.size() == vocab_size_) {
    std::ranges::copy(tokens, to);
    return;
  }
  const auto own_row = [this](int32_t token) {
    return tokens_.contains(token) ? static_cast<int32_t>(token - tokens_.begin) : -1;
  };
  std::ranges::transform(tokens, to, own_row);
}

int64_t StepMetadata::write_list(const MetadataLayout& layout, SequenceList list,
                                 std::span<const SequenceRows> sequences, int64_t blocks) const {
  auto* to = host<fathom_sequence>(layout.sequences[list]);
  auto* tables = host<int32_t>(layout.blocks);
  for (const SequenceRows& each : sequences) {
    const auto count = static_cast<size_t>(blocks_of(end_of(each), limits_.kv_block_size));
    FATHOM_CHECK(count <= each.block_table.size(), "step: expected a block for each position");
    *to++ = on_chip(each, static_cast<int32_t>(blocks));
    std::ranges::copy(each.block_table.first(count), tables + blocks);
    blocks += static_cast<int64_t>(count);
  }
  host<int32_t>(layout.counts)[list] = static_cast<int32_t>(sequences.size());
  return blocks;
}

// Pieces of the whole list's sequences, in its order: they have its block tables.
void StepMetadata::write_kept_list(const MetadataLayout& layout, SequenceList list,
                                   std::span<const SequenceRows> kept, SequenceList whole_list,
                                   std::span<const SequenceRows> whole) const {
  auto* to = host<fathom_sequence>(layout.sequences[list]);
  const auto* placed = host<const fathom_sequence>(layout.sequences[whole_list]);
  size_t at = 0;
  for (const SequenceRows& piece : kept) {
    const auto is_piece_of = [&](const SequenceRows& each) {
      return each.block_table.data() == piece.block_table.data();
    };
    while (at < whole.size() && !is_piece_of(whole[at])) ++at;
    FATHOM_CHECK(at < whole.size(), "step: expected kept rows of its own sequences");
    *to++ = on_chip(piece, placed[at].block_begin);
  }
  host<int32_t>(layout.counts)[list] = static_cast<int32_t>(kept.size());
}

StepInputs StepMetadata::inputs(const MetadataLayout& layout, const StepBucket& bucket) const {
  const auto on_device = [this]<typename T>(T*& to, size_t offset) {
    to = reinterpret_cast<T*>(memory_ + offset);
  };
  StepInputs in;
  on_device(in.tokens, layout.tokens);
  on_device(in.positions, layout.positions);
  on_device(in.slots, layout.slots);
  on_device(in.sources, layout.sources);
  on_device(in.logit_rows, layout.logit_rows);
  on_device(in.rows, layout.rows);
  for (size_t list = 0; list < kSequenceLists; ++list) {
    fathom_sequences& sequences = in.sequences[list];
    on_device(sequences.sequences, layout.sequences[list]);
    on_device(sequences.count, layout.counts + list * sizeof(int32_t));
    on_device(sequences.blocks, layout.blocks);
    sequences.max_positions = bucket.positions;
    sequences.max_blocks = max_blocks(limits_);
  }
  return in;
}

}  // namespace fathom::models::deepseek_v3
