#include "backends/cpu/check_args.h"
#include "backends/cpu/check_parts.h"

namespace fathom::cpu {
namespace {

fathom_status check_table(const fathom_mla_attention_args& args, int64_t index) {
  const fathom_sequence& sequence = args.sequences[index];
  const int64_t end = sequence.context + sequence.query_count;
  const int64_t block_size = args.cache.block_size;
  const int64_t blocks = end / block_size + (end % block_size != 0 ? 1 : 0);
  if (sequence.block_table == nullptr || sequence.block_table_size < blocks) {
    return invalid("mla: expected {} blocks for the {} positions of sequence {}, got {}", blocks,
                   end, index, sequence.block_table == nullptr ? 0 : sequence.block_table_size);
  }
  for (int64_t b = 0; b < blocks; ++b) {
    const int32_t block = sequence.block_table[b];
    if (block < 0 || block >= args.cache.num_blocks) {
      return invalid("mla: expected block {} of sequence {} in [0, {}), got {}", b, index,
                     args.cache.num_blocks, block);
    }
  }
  return FATHOM_OK;
}

// Far beyond any model, and far from where sums of positions could overflow.
constexpr int64_t kMaxPositions = int64_t{1} << 31;

fathom_status check_sequences(const CheckContext& context, const fathom_mla_attention_args& args) {
  if (args.num_sequences < 0 || (args.num_sequences > 0 && args.sequences == nullptr)) {
    return invalid("mla: expected sequences, got {} of them at NULL", args.num_sequences);
  }
  const int64_t rows = args.q.shape[0];
  int64_t queries = 0;
  for (int64_t i = 0; i < args.num_sequences; ++i) {
    const fathom_sequence& s = args.sequences[i];
    if (s.query_begin < 0 || s.query_count < 0 || s.query_begin > rows ||
        s.query_count > rows - s.query_begin) {
      return invalid("mla: expected the queries of sequence {} in [0, {}), got {} from {}", i, rows,
                     s.query_count, s.query_begin);
    }
    if (s.context < 0 || s.context > kMaxPositions) {
      return invalid("mla: expected the context of sequence {} in [0, {}], got {}", i,
                     kMaxPositions, s.context);
    }
    if (context.depth == CheckDepth::kCall && s.query_count > 0) {
      FATHOM_CPU_TRY(check_table(args, i));
    }
    queries += s.query_count;
    if (queries > rows) {
      return invalid("mla: expected each of {} rows in one sequence, got {} or more queries", rows,
                     queries);
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
    if (args.slots[t] < 0 || args.slots[t] >= slots || args.positions[t] < 0) {
      return invalid("mla_prepare: expected slots[{}] in [0, {}) and a position, got {} and {}", t,
                     slots, args.slots[t], args.positions[t]);
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
  FATHOM_CPU_TRY(check_cache(context, "mla", args.cache, args.num_sequences > 0));
  FATHOM_CPU_TRY(check_sequences(context, args));
  return check_workspace(context, "mla", args.workspace, args.workspace_bytes,
                         workspace(context.threads, args));
}

}  // namespace fathom::cpu
