// The expanded form in bf16 products. Keys lie in pairs of their dimensions, a lane a position;
// values in pairs of positions, a lane a dimension: so neither product needs sums across lanes.
#pragma once

#include <cstddef>

#include "backends/cpu/native/mla/mla_expand_int8.h"
#include "backends/cpu/native/products/elementwise.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

#if FATHOM_CPU_BF16

// Where the parts of one thread's workspace begin, in bytes.
struct Bf16HeadLayout {
  explicit Bf16HeadLayout(const fathom_mla_attention_args& args) {
    const auto& shape = args.shape;
    const int64_t expanded_rows = int64_t{shape.nope_dim} + shape.v_dim;
    const int64_t key_dim = int64_t{shape.nope_dim} + shape.rope_dim;
    const int64_t width = int64_t{shape.kv_lora_rank} + shape.rope_dim;
    const int64_t queries = args.sequences.max_queries;
    if (expands_in_int8(args.wkv_b)) {
      take(group_sums, expanded_rows * packed_shape(args.wkv_b).groups * 4);
      take(int8_latents, int8_latents_bytes(args.wkv_b));
    } else {
      take(weights, expanded_rows * shape.kv_lora_rank * 2);
      take(latent_pairs, shape.kv_lora_rank / 2 * kTilePositions * 4);
    }
    take(latents, kTilePositions * width * 2);
    take(expanded, expanded_rows * kTilePositions * 4);
    take(keys, key_dim / 2 * kTilePositions * 4);
    take(values, kTilePositions / 2 * shape.v_dim * 4);
    take(queries_at, queries * key_dim * 2);
    take(sums, queries * shape.v_dim * 4);
    take(states, queries * int64_t{sizeof(Softmax)});
  }

  int64_t weights = 0;       // bf16 [nope + v, kv_lora]: the head's part of W_KVb
  int64_t group_sums = 0;    // int32 [nope + v, groups]: of that part, where it is int8
  int64_t latents = 0;       // bf16 [tile, kv_lora + rope]
  int64_t latent_pairs = 0;  // [kv_lora / 2, tile]
  int64_t int8_latents = 0;  // see quantise_latents()
  int64_t expanded = 0;      // F32 [nope + v, tile]
  int64_t keys = 0;          // pairs [(nope + rope) / 2, tile]
  int64_t values = 0;        // pairs [tile / 2, v]
  int64_t queries_at = 0;    // bf16 [queries, nope + rope]
  int64_t sums = 0;          // F32 [queries, v]
  int64_t states = 0;        // Softmax [queries]
  int64_t bytes = 0;

 private:
  void take(int64_t& part, int64_t wanted) {
    part = bytes;
    bytes += ceil_div(wanted, 64) * 64;
  }
};

static inline int64_t bf16_head_bytes(const fathom_mla_attention_args& args) {
  return Bf16HeadLayout(args).bytes;
}

// One head of one sequence.
class Bf16Head {
 public:
  Bf16Head(const fathom_mla_attention_args& args, const fathom_sequence& sequence, int64_t head,
           std::byte* workspace)
      : args_(args),
        shape_(args.shape),
        sequence_(sequence),
        head_(head),
        layout_(args),
        workspace_(workspace),
        sums_(at<float>(layout_.sums)),
        states_(at<Softmax>(layout_.states)) {}

  void attend() {
    if (expands_in_int8(args_.wkv_b)) {
      sum_groups(args_.wkv_b, first_row(), expanded_rows(), at<int32_t>(layout_.group_sums));
    } else {
      read_weights();
    }
    read_queries();
    memset(sums_, 0,
           static_cast<size_t>(int64_t{sequence_.query_count} * shape_.v_dim) * sizeof(*sums_));
    for (int64_t i = 0; i < sequence_.query_count; ++i) states_[i] = Softmax{};
    const int64_t end = sequence_.context + sequence_.query_count;
    for (int64_t begin = 0; begin < end; begin += kTilePositions) {
      expand(begin, min_of(end, begin + kTilePositions));
      // Queries before the tile's first position do not see it.
      for (int64_t i = max_of(0, begin - sequence_.context); i < sequence_.query_count;
           i += kQueries) {
        attend_queries(i, min_of(kQueries, sequence_.query_count - i), begin);
      }
    }
    write_head(args_, sequence_, head_, states_, sums_, shape_.v_dim);
  }

 private:
  static constexpr int64_t kQueries = 4 * kPairTileRows;  // at once

  template <typename T>
  T* at(int64_t offset) const {
    return reinterpret_cast<T*>(workspace_ + offset);
  }
  int64_t key_dim() const { return int64_t{shape_.nope_dim} + shape_.rope_dim; }
  int64_t expanded_rows() const { return int64_t{shape_.nope_dim} + shape_.v_dim; }
  int64_t first_row() const { return head_ * expanded_rows(); }

  void read_weights() {
    auto* out = at<uint16_t>(layout_.weights);
    auto* row = at<float>(layout_.expanded);  // free until the first tile
    with_format(args_.wkv_b.dtype, [&](auto format) {
      for (int64_t r = 0; r < expanded_rows(); ++r) {
        read_row<decltype(format)>(args_.wkv_b, first_row() + r, 0, shape_.kv_lora_rank, row);
        to_bf16(row, shape_.kv_lora_rank, out + r * shape_.kv_lora_rank);
      }
    });
  }

  void read_queries() {
    auto* out = at<uint16_t>(layout_.queries_at);
    for (int64_t i = 0; i < sequence_.query_count; ++i) {
      to_bf16(row_of(args_.q, sequence_.query_begin + i) + head_ * key_dim(), key_dim(),
              out + i * key_dim());
    }
  }

  // Keys and values of positions [begin, end), zeros up to a whole tile.
  void expand(int64_t begin, int64_t end) {
    LatentRows<kTilePositions> tile;
    read_latents(args_, block_table(args_.sequences, sequence_), begin, end,
                 at<uint16_t>(layout_.latents), tile);
    auto* expanded = at<float>(layout_.expanded);
    if (expands_in_int8(args_.wkv_b)) {
      const Int8Latents latents =
          quantise_latents(tile, args_.wkv_b, at<std::byte>(layout_.int8_latents));
      expand_latents(args_.wkv_b, first_row(), expanded_rows(), at<int32_t>(layout_.group_sums),
                     latents, {expanded, kTilePositions});
    } else {
      expand_in_bf16(tile, expanded);
    }
    pair_keys(tile, expanded);
    pair_values(expanded + shape_.nope_dim * kTilePositions);
  }

  void expand_in_bf16(const LatentRows<kTilePositions>& tile, float* expanded) const {
    auto* latent_pairs = at<uint32_t>(layout_.latent_pairs);
    pair_columns(tile.rows, kTilePositions, shape_.kv_lora_rank / 2, latent_pairs, kTilePositions);
    memset(expanded, 0, static_cast<size_t>(expanded_rows() * kTilePositions) * sizeof(*expanded));
    add_pair_products(Bf16Rows{at<uint16_t>(layout_.weights), shape_.kv_lora_rank}, expanded_rows(),
                      {latent_pairs, kTilePositions}, kTilePositions, shape_.kv_lora_rank / 2,
                      {expanded, kTilePositions});
  }

  void pair_keys(LatentRows<kTilePositions>& tile, const float* expanded) {
    auto* keys = at<uint32_t>(layout_.keys);
    for (int64_t i = 0; i < shape_.nope_dim; i += 2) {
      pair_rows(expanded + i * kTilePositions, expanded + (i + 1) * kTilePositions, kTilePositions,
                keys + i / 2 * kTilePositions);
    }
    for (auto& row : tile.rows) row += shape_.kv_lora_rank;
    pair_columns(tile.rows, kTilePositions, shape_.rope_dim / 2,
                 keys + shape_.nope_dim / 2 * kTilePositions, kTilePositions);
  }

  // Narrows the expanded values in their place.
  void pair_values(float* expanded) {
    const uint16_t* rows[kWidth];
    for (int64_t d = 0; d < shape_.v_dim; d += kWidth) {
      for (int64_t i = 0; i < kWidth; ++i) {
        float* row = expanded + (d + i) * kTilePositions;
        auto* narrow = reinterpret_cast<uint16_t*>(row);
        to_bf16(row, kTilePositions, narrow);
        rows[i] = narrow;
      }
      pair_columns(rows, kWidth, kTilePositions / 2, at<uint32_t>(layout_.values) + d,
                   shape_.v_dim);
    }
  }

  // Queries [first, first + rows) of the sequence over the tile.
  void attend_queries(int64_t first, int64_t rows, int64_t begin) {
    alignas(64) float scores[kQueries * kTilePositions];
    uint16_t weights[kQueries * kTilePositions];
    memset(scores, 0, static_cast<size_t>(rows * kTilePositions) * sizeof(*scores));
    add_pair_products(Bf16Rows{at<uint16_t>(layout_.queries_at) + first * key_dim(), key_dim()},
                      rows, {at<uint32_t>(layout_.keys), kTilePositions}, kTilePositions,
                      key_dim() / 2, {scores, kTilePositions});
    float* sums = sums_ + first * shape_.v_dim;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t visible = min_of(kTilePositions, sequence_.context + first + r + 1 - begin);
      float* row = scores + r * kTilePositions;
      soften(states_[first + r], row, visible, shape_.softmax_scale, sums + r * shape_.v_dim,
             shape_.v_dim);
      narrow_weights(row, visible, weights + r * kTilePositions);
    }
    add_pair_products(Bf16Rows{weights, kTilePositions}, rows,
                      {at<uint32_t>(layout_.values), shape_.v_dim}, shape_.v_dim,
                      kTilePositions / 2, {sums, shape_.v_dim});
  }

  const fathom_mla_attention_args& args_;
  const fathom_mla_shape& shape_;
  const fathom_sequence& sequence_;
  const int64_t head_;
  const Bf16HeadLayout layout_;
  std::byte* const workspace_;
  float* const sums_;
  Softmax* const states_;
};

static inline void attend_in_bf16(const fathom_mla_attention_args& args,
                                  const fathom_sequence& sequence, int64_t head,
                                  std::byte* workspace) {
  Bf16Head(args, sequence, head, workspace).attend();
}

#else

static inline int64_t bf16_head_bytes(const fathom_mla_attention_args&) {
  return 0;
}
static inline void attend_in_bf16(const fathom_mla_attention_args&, const fathom_sequence&, int64_t,
                                  std::byte*) {}

#endif

}  // namespace fathom::cpu::FATHOM_CPU_ISA
