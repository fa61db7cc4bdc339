#include <cmath>

#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/formats.h"
#include "backends/cpu/reference/kernels.h"

namespace fathom::cpu::reference {
namespace {

struct Pair {
  double even, odd;
};

// Pair i of a row, rotated by its angle; cos_sin is the position's [rope_dim] entry of the table.
Pair rotated(const float* row, const float* cos_sin, int32_t rope_dim, int32_t i) {
  const double cosine = cos_sin[i];
  const double sine = cos_sin[rope_dim / 2 + i];
  const double even = row[2 * i];
  const double odd = row[2 * i + 1];
  return {even * cosine - odd * sine, even * sine + odd * cosine};
}

}  // namespace

void mla_prepare(ThreadPool& pool, const fathom_mla_prepare_args& args) {
  const auto& shape = args.shape;
  const int32_t q_dim = shape.nope_dim + shape.rope_dim;
  const CacheEntries cache(args.cache, shape);
  parallel_for(pool, args.q.shape[0], [&](int64_t t, int) {
    const float* cos_sin = args.cos_sin + int64_t{args.positions[t]} * shape.rope_dim;
    for (int32_t h = 0; h < shape.num_heads; ++h) {
      float* q_pe = row_of(args.q, t) + int64_t{h} * q_dim + shape.nope_dim;
      for (int32_t i = 0; i < shape.rope_dim / 2; ++i) {
        const Pair pair = rotated(q_pe, cos_sin, shape.rope_dim, i);
        q_pe[2 * i] = static_cast<float>(pair.even);
        q_pe[2 * i + 1] = static_cast<float>(pair.odd);
      }
    }

    const float* latent = row_of(args.kv_a, t);
    const int64_t entry = args.slots[t];
    double sum = 0;
    for (int32_t i = 0; i < shape.kv_lora_rank; ++i) sum += double{latent[i]} * latent[i];
    const double norm = 1.0 / std::sqrt(sum / shape.kv_lora_rank + args.eps);
    for (int32_t i = 0; i < shape.kv_lora_rank; ++i) {
      cache.set(entry, i, latent[i] * norm * args.kv_norm[i]);
    }

    const float* k_pe = latent + shape.kv_lora_rank;
    const int32_t key = shape.kv_lora_rank;
    for (int32_t i = 0; i < shape.rope_dim / 2; ++i) {
      const Pair pair = rotated(k_pe, cos_sin, shape.rope_dim, i);
      cache.set(entry, key + 2 * i, pair.even);
      cache.set(entry, key + 2 * i + 1, pair.odd);
    }
  });
}

}  // namespace fathom::cpu::reference
