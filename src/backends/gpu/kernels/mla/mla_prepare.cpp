#include "backends/gpu/kernels/block_sum.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/mla/mla_args.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kPrepareThreads = 256;

struct PrepareCall {
  fathom_mla_shape shape;
  float eps;
  Rows<bf16> q;
  Rows<const bf16> kv_a;
  Global<const float> kv_norm;
  Global<const float> cos_sin;
  Global<const int32_t> positions;
  Global<const int64_t> slots;
  LatentCache<bf16> cache;
};

// Pair i of a row, rotated by its angle.
GPU_DEVICE void rotate(Global<const bf16> from, Global<bf16> to, Global<const float> cos_sin,
                       int rope_dim, int i) {
  const float cosine = load(cos_sin, i);
  const float sine = load(cos_sin, rope_dim / 2 + i);
  const float even = widen(load(from, 2 * i));
  const float odd = widen(load(from, 2 * i + 1));
  store(to, 2 * i, narrow<bf16>(even * cosine - odd * sine));
  store(to, 2 * i + 1, narrow<bf16>(even * sine + odd * cosine));
}

// A block a token.
GPU_KERNEL void mla_prepare(PrepareCall call) {
  const auto& shape = call.shape;
  const int64_t row = block_x();
  const auto cos_sin = call.cos_sin + int64_t{load(call.positions, row)} * shape.rope_dim;
  const int pairs = shape.rope_dim / 2;
  const int q_dim = shape.nope_dim + shape.rope_dim;
  for (int i = thread(); i < shape.num_heads * pairs; i += threads()) {
    const auto q_pe = call.q(row) + int64_t{i / pairs} * q_dim + shape.nope_dim;
    rotate(q_pe, q_pe, cos_sin, shape.rope_dim, i % pairs);
  }
  const auto latent = call.kv_a(row);
  const int64_t slot = load(call.slots, row);
  for (int i = thread(); i < pairs; i += threads()) {
    rotate(latent + shape.kv_lora_rank, call.cache.key(slot), cos_sin, shape.rope_dim, i);
  }
  float sum = 0;
  for (int i = thread(); i < shape.kv_lora_rank; i += threads()) {
    const float v = widen(load(latent, i));
    sum = fma(v, v, sum);
  }
  const float mean = block_sum(sum, shared<float>(0)) / static_cast<float>(shape.kv_lora_rank);
  const float scale = rsqrt(mean + call.eps);
  for (int i = thread(); i < shape.kv_lora_rank; i += threads()) {
    const float normed = widen(load(latent, i)) * scale * load(call.kv_norm, i);
    store(call.cache.latent(slot), i, narrow<bf16>(normed));
  }
}

fathom_status supports_prepare(const void* bytes) {
  const auto& args = *static_cast<const fathom_mla_prepare_args*>(bytes);
  const auto& shape = args.shape;
  if (!is_matrix(args.q, FATHOM_BF16,
                 int64_t{shape.num_heads} * (shape.nope_dim + shape.rope_dim)) ||
      !is_matrix(args.kv_a, FATHOM_BF16, int64_t{shape.kv_lora_rank} + shape.rope_dim)) {
    return not_taken("mla_prepare", "q and kv_a in BF16");
  }
  return takes_mla_shape("mla_prepare", shape, args.cache);
}

fathom_status queue_prepare(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_mla_prepare_args*>(bytes);
  if (args.q.shape[0] == 0) return FATHOM_OK;
  const PrepareCall call = {args.shape,
                            args.eps,
                            rows_of<bf16>(args.q),
                            rows_of<const bf16>(args.kv_a),
                            args.kv_norm,
                            args.cos_sin,
                            args.positions,
                            args.slots,
                            latent_cache_of<bf16>(args.cache, args.shape)};
  const Shape shape = {args.q.shape[0], 1, 1, kPrepareThreads,
                       kPrepareThreads / kWarp * static_cast<int>(sizeof(float))};
  return launch(queue, "mla_prepare", shape, mla_prepare, call);
}

}  // namespace

const Kernel kMlaPrepare = {supports_prepare, nullptr, queue_prepare};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
