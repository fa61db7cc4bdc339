// Expanded form: each tile of the context becomes this head's keys and values once a call, for all
// the queries of the sequence.
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/mla/mla_prefill_bf16.h"
#include "backends/cpu/native/products/gemm.h"

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

// One thread's part of the workspace, in floats.
struct WorkspaceLayout {
  explicit WorkspaceLayout(const fathom_mla_attention_args& args)
      : latent_stride(padded(int64_t{args.shape.kv_lora_rank} + args.shape.rope_dim)),
        key_stride(padded(int64_t{args.shape.nope_dim} + args.shape.rope_dim)),
        value_stride(padded(args.shape.v_dim)),
        keys(kTilePositions * latent_stride),
        values(keys + kTilePositions * key_stride),
        sums(values + kTilePositions * value_stride),
        states(sums + args.sequences.max_queries * value_stride),
        floats(states + padded(int64_t{args.sequences.max_queries} * 2)) {}

  int64_t latent_stride, key_stride, value_stride;
  // Latents [tile, latent_stride] come first.
  int64_t keys;    // [tile, key_stride]
  int64_t values;  // [tile, value_stride]
  int64_t sums;    // [queries, value_stride]
  int64_t states;  // Softmax [queries]
  int64_t floats;
};
static_assert(sizeof(Softmax) == 2 * sizeof(float));

// One head of one sequence.
class Head {
 public:
  Head(const fathom_mla_attention_args& args, const fathom_sequence& sequence, int64_t head,
       float* workspace, GemmScratch& gemm_scratch)
      : args_(args),
        shape_(args.shape),
        sequence_(sequence),
        head_(head),
        layout_(args),
        latents_(workspace),
        keys_(workspace + layout_.keys),
        values_(workspace + layout_.values),
        sums_(workspace + layout_.sums),
        states_(reinterpret_cast<Softmax*>(workspace + layout_.states)),
        gemm_scratch_(gemm_scratch) {}

  void attend() {
    const int64_t end = sequence_.context + sequence_.query_count;
    for (int64_t i = 0; i < sequence_.query_count * layout_.value_stride; ++i) sums_[i] = 0;
    for (int64_t i = 0; i < sequence_.query_count; ++i) states_[i] = Softmax{};
    for (int64_t begin = 0; begin < end; begin += kTilePositions) {
      const int64_t positions = min_of(end - begin, kTilePositions);
      expand(begin, positions);
      // Queries before the tile's first position do not see it.
      const int64_t first_query = max_of(0, begin - sequence_.context);
      for (int64_t i = first_query; i < sequence_.query_count; i += kTileRows) {
        attend_queries(i, min_of(kTileRows, sequence_.query_count - i), begin, positions);
      }
    }
    write_head(args_, sequence_, head_, states_, sums_, layout_.value_stride);
  }

 private:
  int64_t key_dim() const { return int64_t{shape_.nope_dim} + shape_.rope_dim; }

  void expand(int64_t begin, int64_t positions) {
    gather(args_, block_table(args_.sequences, sequence_), begin, begin + positions, latents_,
           layout_.latent_stride);
    split_in_place(latents_, layout_.latent_stride, positions, args_.wkv_b);
    const int64_t key_row = head_ * (int64_t{shape_.nope_dim} + shape_.v_dim);
    const int64_t value_row = key_row + shape_.nope_dim;
    const Rows latents = {latents_, layout_.latent_stride, nullptr, positions};
    gemm(latents, args_.wkv_b, key_row, value_row, {keys_, layout_.key_stride}, gemm_scratch_);
    gemm(latents, args_.wkv_b, value_row, value_row + shape_.v_dim, {values_, layout_.value_stride},
         gemm_scratch_);
    for (int64_t p = 0; p < positions; ++p) {
      float* key = keys_ + p * layout_.key_stride;
      const float* rotated = latents_ + p * layout_.latent_stride + shape_.kv_lora_rank;
      for (int64_t i = 0; i < shape_.rope_dim; ++i) key[shape_.nope_dim + i] = rotated[i];
      for (int64_t i = key_dim(); i < layout_.key_stride; ++i) key[i] = 0;
      float* value = values_ + p * layout_.value_stride;
      for (int64_t i = shape_.v_dim; i < layout_.value_stride; ++i) value[i] = 0;
    }
  }

  // Queries [first, first + rows) of the sequence over the tile.
  void attend_queries(int64_t first, int64_t rows, int64_t begin, int64_t positions) {
    const float* q = row_of(args_.q, sequence_.query_begin + first) + head_ * key_dim();
    float scores[kTileRows * kTilePositions];
    dot_panel({q, args_.q.stride[0], nullptr, rows}, {keys_, layout_.key_stride}, positions,
              key_dim(), Part{}, {scores, kTilePositions});
    int64_t visible[kTileRows];
    float* sums = sums_ + first * layout_.value_stride;
    for (int64_t r = 0; r < rows; ++r) {
      visible[r] = min_of(positions, sequence_.context + first + r + 1 - begin);
      soften(states_[first + r], scores + r * kTilePositions, visible[r], shape_.softmax_scale,
             sums + r * layout_.value_stride, layout_.value_stride);
    }
    combine({scores, kTilePositions, nullptr, rows}, {values_, layout_.value_stride}, visible,
            layout_.value_stride, sums, layout_.value_stride);
  }

  const fathom_mla_attention_args& args_;
  const fathom_mla_shape& shape_;
  const fathom_sequence& sequence_;
  const int64_t head_;
  const WorkspaceLayout layout_;
  float* const latents_;
  float* const keys_;
  float* const values_;
  float* const sums_;
  Softmax* const states_;
  GemmScratch& gemm_scratch_;
};

}  // namespace

size_t mla_prefill_workspace(int threads, const fathom_mla_attention_args& args) {
  // Either form may be used: the weights of each layer may be of another type.
  const int64_t bytes =
      max_of(WorkspaceLayout(args).floats * int64_t{sizeof(float)}, bf16_head_bytes(args));
  return static_cast<size_t>(bytes * threads);
}

void mla_prefill(ThreadPool& pool, const fathom_mla_attention_args& args) {
  const int64_t heads = args.shape.num_heads;
  const int64_t tasks = *args.sequences.count * heads;
  const int64_t floats = WorkspaceLayout(args).floats;
  if (in_bf16(args)) {
    const int64_t bytes = bf16_head_bytes(args);
    parallel_for(pool, tasks, [&](int64_t task, int thread) {
      attend_in_bf16(args, args.sequences.sequences[task / heads], task % heads,
                     static_cast<std::byte*>(args.workspace) + bytes * thread);
    });
    return;
  }
  parallel_for(pool, tasks, [&](int64_t task, int thread) {
    float* workspace = static_cast<float*>(args.workspace) + floats * thread;
    Head(args, args.sequences.sequences[task / heads], task % heads, workspace,
         gemm_scratch(pool, thread))
        .attend();
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
