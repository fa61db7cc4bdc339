#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/formats.h"
#include "backends/cpu/reference/kernels.h"
#include "backends/cpu/reference/softmax.h"

namespace fathom::cpu::reference {
namespace {

// A thread's scratch: query and output in latent space [kv_lora] each, scores [positions].
int64_t scratch_doubles(const fathom_mla_attention_args& args) {
  return 2 * int64_t{args.shape.kv_lora_rank} + args.sequences.max_positions;
}

// One head of one query, the `index`th of its sequence.
void attend(const fathom_mla_attention_args& args, const fathom_sequence& sequence, int64_t index,
            int64_t head, double* scratch) {
  const auto& shape = args.shape;
  const int64_t latent_dim = shape.kv_lora_rank;
  const int64_t first_row = head * (int64_t{shape.nope_dim} + shape.v_dim);
  const int64_t row = sequence.query_begin + index;
  const int64_t visible = sequence.context + index + 1;
  const float* q = row_of(args.q, row) + head * (int64_t{shape.nope_dim} + shape.rope_dim);
  double* latent_q = scratch;
  double* latent_out = latent_q + latent_dim;
  double* scores = latent_out + latent_dim;
  const int32_t* blocks = block_table(args.sequences, sequence);
  const CacheEntries cache(args.cache, shape);

  for (int64_t i = 0; i < latent_dim; ++i) {
    latent_q[i] = 0;
    for (int32_t j = 0; j < shape.nope_dim; ++j) {
      latent_q[i] += q[j] * weight_value(args.wkv_b, first_row + j, i);
    }
    latent_out[i] = 0;
  }
  for (int64_t p = 0; p < visible; ++p) {
    const int64_t entry = cache_row(blocks, args.cache.block_size, p);
    double dot = 0;
    for (int64_t i = 0; i < latent_dim; ++i) dot += latent_q[i] * cache.get(entry, i);
    for (int32_t i = 0; i < shape.rope_dim; ++i) {
      dot += q[shape.nope_dim + i] * cache.get(entry, latent_dim + i);
    }
    scores[p] = dot * shape.softmax_scale;
  }
  softmax(scores, visible);
  for (int64_t p = 0; p < visible; ++p) {
    const int64_t entry = cache_row(blocks, args.cache.block_size, p);
    for (int64_t i = 0; i < latent_dim; ++i) latent_out[i] += scores[p] * cache.get(entry, i);
  }
  float* out = row_of(args.out, row) + head * shape.v_dim;
  for (int32_t j = 0; j < shape.v_dim; ++j) {
    double sum = 0;
    for (int64_t i = 0; i < latent_dim; ++i) {
      sum += latent_out[i] * weight_value(args.wkv_b, first_row + shape.nope_dim + j, i);
    }
    out[j] = static_cast<float>(sum);
  }
}

}  // namespace

size_t mla_decode_workspace(int threads, const fathom_mla_attention_args& args) {
  return static_cast<size_t>(scratch_doubles(args)) * sizeof(double) * static_cast<size_t>(threads);
}

void mla_decode(ThreadPool& pool, const fathom_mla_attention_args& args) {
  const int64_t heads = args.shape.num_heads;
  const int64_t scratch = scratch_doubles(args);
  for (int32_t s = 0; s < *args.sequences.count; ++s) {
    const fathom_sequence& sequence = args.sequences.sequences[s];
    parallel_for(pool, sequence.query_count * heads, [&](int64_t task, int thread) {
      double* own = static_cast<double*>(args.workspace) + scratch * thread;
      attend(args, sequence, task / heads, task % heads, own);
    });
  }
}

}  // namespace fathom::cpu::reference
