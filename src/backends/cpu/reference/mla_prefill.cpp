#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/formats.h"
#include "backends/cpu/reference/kernels.h"
#include "backends/cpu/reference/softmax.h"

namespace fathom::cpu::reference {
namespace {

// A thread's scratch: keys [positions, nope + rope], values [positions, v], scores [positions].
int64_t prefill_scratch_doubles(const fathom_mla_attention_args& args) {
  const auto& shape = args.shape;
  return args.sequences.max_positions *
         (int64_t{shape.nope_dim} + shape.rope_dim + shape.v_dim + 1);
}

// One head of one sequence.
class Head {
 public:
  Head(const fathom_mla_attention_args& args, const fathom_sequence& sequence, int64_t head,
       double* scratch)
      : args_(args),
        shape_(args.shape),
        sequence_(sequence),
        blocks_(block_table(args.sequences, sequence)),
        cache_(args.cache, args.shape),
        head_(head),
        positions_(sequence.context + sequence.query_count),
        key_dim_(shape_.nope_dim + shape_.rope_dim),
        keys_(scratch),
        values_(keys_ + positions_ * key_dim_),
        scores_(values_ + positions_ * shape_.v_dim) {}

  void attend() {
    for (int64_t p = 0; p < positions_; ++p) expand(p);
    for (int64_t i = 0; i < sequence_.query_count; ++i) attend_query(i);
  }

 private:
  // wkv_b turns a latent into this head's key and value; the rotated key is all heads' own.
  void expand(int64_t p) {
    const int64_t entry = cache_row(blocks_, args_.cache.block_size, p);
    const int64_t first_row = head_ * (int64_t{shape_.nope_dim} + shape_.v_dim);
    for (int32_t j = 0; j < shape_.nope_dim + shape_.v_dim; ++j) {
      double sum = 0;
      for (int32_t i = 0; i < shape_.kv_lora_rank; ++i) {
        sum += weight_value(args_.wkv_b, first_row + j, i) * cache_.get(entry, i);
      }
      if (j < shape_.nope_dim) {
        keys_[p * key_dim_ + j] = sum;
      } else {
        values_[p * shape_.v_dim + j - shape_.nope_dim] = sum;
      }
    }
    for (int32_t i = 0; i < shape_.rope_dim; ++i) {
      keys_[p * key_dim_ + shape_.nope_dim + i] = cache_.get(entry, shape_.kv_lora_rank + i);
    }
  }

  void attend_query(int64_t i) {
    const int64_t visible = sequence_.context + i + 1;
    const int64_t row = sequence_.query_begin + i;
    const float* q = row_of(args_.q, row) + head_ * key_dim_;
    for (int64_t p = 0; p < visible; ++p) {
      double dot = 0;
      for (int64_t d = 0; d < key_dim_; ++d) dot += q[d] * keys_[p * key_dim_ + d];
      scores_[p] = dot * shape_.softmax_scale;
    }
    softmax(scores_, visible);
    float* out = row_of(args_.out, row) + head_ * shape_.v_dim;
    for (int32_t d = 0; d < shape_.v_dim; ++d) {
      double sum = 0;
      for (int64_t p = 0; p < visible; ++p) sum += scores_[p] * values_[p * shape_.v_dim + d];
      out[d] = static_cast<float>(sum);
    }
  }

  const fathom_mla_attention_args& args_;
  const fathom_mla_shape& shape_;
  const fathom_sequence& sequence_;
  const int32_t* const blocks_;
  const CacheEntries cache_;
  const int64_t head_;
  const int64_t positions_;
  const int64_t key_dim_;
  double* const keys_;
  double* const values_;
  double* const scores_;
};

}  // namespace

size_t mla_prefill_workspace(int threads, const fathom_mla_attention_args& args) {
  return static_cast<size_t>(prefill_scratch_doubles(args)) * sizeof(double) *
         static_cast<size_t>(threads);
}

void mla_prefill(ThreadPool& pool, const fathom_mla_attention_args& args) {
  const int64_t heads = args.shape.num_heads;
  const int64_t scratch = prefill_scratch_doubles(args);
  parallel_for(pool, *args.sequences.count * heads, [&](int64_t task, int thread) {
    double* own = static_cast<double*>(args.workspace) + scratch * thread;
    Head(args, args.sequences.sequences[task / heads], task % heads, own).attend();
  });
}

}  // namespace fathom::cpu::reference
