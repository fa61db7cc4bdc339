#include <algorithm>
#include <limits>

#include "backends/cpu/checks/check_args.h"
#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/kernels/tensor_rows.h"

namespace fathom::cpu {
namespace {

// Far beyond any model, and far from where sums of positions could overflow.
constexpr int64_t kMaxPositions = std::numeric_limits<int32_t>::max();

fathom_status check_capacities(const CheckContext& context, const fathom_sequences& all) {
  if (all.max_sequences < 0 || all.max_queries < 0 || all.max_positions < 0 ||
      all.max_positions > kMaxPositions || all.max_blocks < 0) {
    return invalid(
        "mla: expected capacities of 0 or more, positions of {} or less, got {} sequences, {} "
        "queries, {} positions, {} blocks",
        kMaxPositions, all.max_sequences, all.max_queries, all.max_positions, all.max_blocks);
  }
  const bool any = all.max_sequences > 0;
  FATHOM_CPU_TRY(check_pointer(context, "mla", "sequences", all.sequences, any));
  FATHOM_CPU_TRY(check_pointer(context, "mla", "the number of sequences", all.count, true));
  return check_pointer(context, "mla", "block numbers", all.blocks, any && all.max_blocks > 0);
}

fathom_status check_blocks(const fathom_mla_attention_args& args, const fathom_sequence& sequence,
                           int32_t index) {
  const int64_t end = int64_t{sequence.context} + sequence.query_count;
  const int64_t block_size = args.cache.block_size;
  const int64_t blocks = end / block_size + (end % block_size != 0 ? 1 : 0);
  if (sequence.block_begin < 0 || sequence.block_begin > args.sequences.max_blocks ||
      blocks > args.sequences.max_blocks - sequence.block_begin) {
    return invalid("mla: expected the {} blocks of sequence {} in [0, {}), got them from {}",
                   blocks, index, args.sequences.max_blocks, sequence.block_begin);
  }
  const int32_t* table = block_table(args.sequences, sequence);
  for (int64_t b = 0; b < blocks; ++b) {
    if (table[b] < 0 || table[b] >= args.cache.num_blocks) {
      return invalid("mla: expected block {} of sequence {} in [0, {}), got {}", b, index,
                     args.cache.num_blocks, table[b]);
    }
  }
  return FATHOM_OK;
}

fathom_status check_sequences(const fathom_mla_attention_args& args) {
  const fathom_sequences& all = args.sequences;
  if (*all.count < 0 || *all.count > all.max_sequences) {
    return invalid("mla: expected at most {} sequences, got {}", all.max_sequences, *all.count);
  }
  const int64_t rows = args.q.shape[0];
  const int64_t most = std::min<int64_t>(rows, all.max_queries);
  int64_t queries = 0;
  for (int32_t i = 0; i < *all.count; ++i) {
    const fathom_sequence& s = all.sequences[i];
    if (s.query_begin < 0 || s.query_count < 0 || s.query_begin > rows ||
        s.query_count > rows - s.query_begin) {
      return invalid("mla: expected the queries of sequence {} in [0, {}), got {} from {}", i, rows,
                     s.query_count, s.query_begin);
    }
    if (s.context < 0 || s.context > all.max_positions - s.query_count) {
      return invalid("mla: expected sequence {} to end by position {}, got {} queries behind {}", i,
                     all.max_positions, s.query_count, s.context);
    }
    if (s.query_count > 0) FATHOM_CPU_TRY(check_blocks(args, s, i));
    queries += s.query_count;
    if (queries > most) {
      return invalid("mla: expected {} queries at most, each row in one sequence, got {} or more",
                     most, queries);
    }
  }
  return FATHOM_OK;
}

int64_t q_columns(const fathom_mla_shape& shape) {
  return int64_t{shape.num_heads} * (int64_t{shape.nope_dim} + shape.rope_dim);
}

}  // namespace

fathom_status check(const CheckContext& context, const fathom_mla_prepare_args& args) {
  FATHOM_CPU_TRY(check_size("mla_prepare", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_mla_shape("mla_prepare", args.shape));
  FATHOM_CPU_TRY(check_matrix(context, "mla_prepare", "q", args.q, -1, q_columns(args.shape)));
  const int64_t rows = args.q.shape[0];
  const int64_t latent = int64_t{args.shape.kv_lora_rank} + args.shape.rope_dim;
  FATHOM_CPU_TRY(check_matrix(context, "mla_prepare", "kv_a", args.kv_a, rows, latent));
  FATHOM_CPU_TRY(check_cache(context, "mla_prepare", args.cache, rows > 0));
  FATHOM_CPU_TRY(check_pointer(context, "mla_prepare", "kv_norm", args.kv_norm, rows > 0));
  FATHOM_CPU_TRY(check_pointer(context, "mla_prepare", "cos_sin", args.cos_sin,
                               rows > 0 && args.shape.rope_dim > 0));
  FATHOM_CPU_TRY(check_pointer(context, "mla_prepare", "positions", args.positions, rows > 0));
  FATHOM_CPU_TRY(check_pointer(context, "mla_prepare", "slots", args.slots, rows > 0));
  if (context.depth == CheckDepth::kShapes) return FATHOM_OK;
  const int64_t slots = args.cache.num_blocks * args.cache.block_size;
  for (int64_t t = 0; t < rows; ++t) {
    if (args.slots[t] < 0 || args.slots[t] >= slots) {
      return invalid("mla_prepare: expected slots[{}] in [0, {}), got {}", t, slots, args.slots[t]);
    }
    if (args.positions[t] < 0 || args.positions[t] >= args.max_positions) {
      return invalid("mla_prepare: expected positions[{}] in [0, {}), got {}", t,
                     args.max_positions, args.positions[t]);
    }
  }
  return FATHOM_OK;
}

fathom_status check(const CheckContext& context, const fathom_mla_attention_args& args,
                    size_t (*workspace)(int threads, const fathom_mla_attention_args&)) {
  FATHOM_CPU_TRY(check_size("mla", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_mla_shape("mla", args.shape));
  const auto& shape = args.shape;
  const int64_t heads = shape.num_heads;
  FATHOM_CPU_TRY(check_matrix(context, "mla", "q", args.q, -1, q_columns(shape)));
  FATHOM_CPU_TRY(
      check_matrix(context, "mla", "out", args.out, args.q.shape[0], heads * shape.v_dim));
  FATHOM_CPU_TRY(check_weight(context, "mla", "wkv_b", args.wkv_b,
                              heads * (int64_t{shape.nope_dim} + shape.v_dim), shape.kv_lora_rank));
  FATHOM_CPU_TRY(check_cache(context, "mla", args.cache, args.sequences.max_sequences > 0));
  FATHOM_CPU_TRY(check_capacities(context, args.sequences));
  FATHOM_CPU_TRY(check_workspace(context, "mla", args.workspace, args.workspace_bytes,
                                 workspace(context.threads, args)));
  return context.depth == CheckDepth::kShapes ? FATHOM_OK : check_sequences(args);
}

}  // namespace fathom::cpu
