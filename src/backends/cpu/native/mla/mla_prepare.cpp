#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/norm.h"
#include "backends/cpu/native/products/elementwise.h"

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

// To nearest, ties to even; NaN stays NaN.
uint16_t to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Rotates each pair (2i, 2i + 1) of `in`; cos_sin is [rope_dim]. `out` may be `in`.
void rotate(const float* in, const float* cos_sin, int32_t rope_dim, float* out) {
  const float* cosines = cos_sin;
  const float* sines = cos_sin + rope_dim / 2;
  for (int32_t i = 0; i < rope_dim / 2; ++i) {
    const float even = in[2 * i];
    const float odd = in[2 * i + 1];
    out[2 * i] = even * cosines[i] - odd * sines[i];
    out[2 * i + 1] = even * sines[i] + odd * cosines[i];
  }
}

void write_entry(const fathom_mla_prepare_args& args, int64_t slot, const float* entry) {
  const CacheParts all = cache_parts(args.cache, args.shape);
  for (int32_t p = 0; p < all.count; ++p) {
    const CachePart& part = all.parts[p];
    const float* from = entry + part.column;
    if (args.cache.dtype == FATHOM_F32) {
      memcpy(static_cast<float*>(part.data) + slot * part.width, from,
             static_cast<size_t>(part.width) * sizeof(float));
    } else {
      uint16_t* out = static_cast<uint16_t*>(part.data) + slot * part.width;
      for (int64_t i = 0; i < part.width; ++i) out[i] = to_bf16(from[i]);
    }
  }
}

}  // namespace

void mla_prepare(ThreadPool& pool, const fathom_mla_prepare_args& args) {
  const auto& shape = args.shape;
  const int64_t q_dim = int64_t{shape.nope_dim} + shape.rope_dim;
  for_rows(pool, args.q.shape[0], shape.num_heads * q_dim, [&](int64_t t, int thread) {
    const float* cos_sin = args.cos_sin + int64_t{args.positions[t]} * shape.rope_dim;
    for (int32_t h = 0; h < shape.num_heads; ++h) {
      float* q_pe = row_of(args.q, t) + h * q_dim + shape.nope_dim;
      rotate(q_pe, cos_sin, shape.rope_dim, q_pe);
    }
    const float* latent = row_of(args.kv_a, t);
    auto* entry = reinterpret_cast<float*>(pool.scratch(thread));
    normalize(latent, args.kv_norm, args.eps, shape.kv_lora_rank, entry);
    rotate(latent + shape.kv_lora_rank, cos_sin, shape.rope_dim, entry + shape.kv_lora_rank);
    write_entry(args, args.slots[t], entry);
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
