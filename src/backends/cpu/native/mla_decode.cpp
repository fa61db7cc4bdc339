// Absorbed form: a query is turned into latent space by W_UK, looks at the latents as they are
// cached, all heads at the same ones, and what it gathers is turned into values by W_UV. Queries
// go through in batches of a bounded size, so that the weights are read once a batch.
#include "backends/cpu/native/gemm.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/mla_bf16.h"

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

constexpr int64_t kBatchQueries = 16;
constexpr int64_t kMostHeadsAtOnce = 16;

// Heads that share one reading of the latents; few enough that each thread has some.
int64_t heads_at_once(int64_t heads, int threads) {
  const int64_t share = ceil_div(ceil_div(heads, threads), kTileRows) * kTileRows;
  return min_of(share, kMostHeadsAtOnce);
}

// The workspace, in floats.
struct Layout {
  Layout(int threads, const fathom_mla_attention_args& args)
      : entry_stride(padded(int64_t{args.shape.kv_lora_rank} + args.shape.rope_dim)),
        latent_stride(padded(args.shape.kv_lora_rank)),
        sums(min_of(kBatchQueries, args.q.shape[0]) * args.shape.num_heads * entry_stride),
        tiles(sums + min_of(kBatchQueries, args.q.shape[0]) * args.shape.num_heads * latent_stride),
        tile_floats(kTilePositions * entry_stride),
        floats(tiles + threads * tile_floats) {}

  int64_t entry_stride;   // of latent queries and cached entries: latent, then rotated part
  int64_t latent_stride;  // of sums: latent only
  // Latent queries [batch, heads, entry_stride] come first.
  int64_t sums;   // [batch, heads, latent_stride]
  int64_t tiles;  // [threads, tile, entry_stride]
  int64_t tile_floats;
  int64_t floats;
};

// Queries [first, first + count) of a sequence, at [place, place + count) of the batch.
struct Run {
  const fathom_sequence* sequence;
  int64_t first;
  int64_t count;
  int64_t place;
};

struct Batch {
  Run runs[kBatchQueries];
  int64_t num_runs = 0;
  int64_t queries = 0;
  int32_t rows[kBatchQueries];  // of q and out

  void add(const fathom_sequence& sequence, int64_t first, int64_t count) {
    runs[num_runs++] = {&sequence, first, count, queries};
    for (int64_t i = 0; i < count; ++i) {
      rows[queries++] = static_cast<int32_t>(sequence.query_begin + first + i);
    }
  }
};

class Decode {
 public:
  Decode(ThreadPool& pool, const fathom_mla_attention_args& args)
      : pool_(pool),
        args_(args),
        shape_(args.shape),
        layout_(pool.threads(), args),
        heads_(shape_.num_heads),
        head_group_(heads_at_once(heads_, pool.threads())),
        queries_(static_cast<float*>(args.workspace)),
        sums_(queries_ + layout_.sums) {}

  void run() {
    Batch batch;
    for (int64_t s = 0; s < args_.num_sequences; ++s) {
      const fathom_sequence& sequence = args_.sequences[s];
      for (int64_t first = 0; first < sequence.query_count;) {
        const int64_t room = kBatchQueries - batch.queries;
        const int64_t count = min_of(room, sequence.query_count - first);
        batch.add(sequence, first, count);
        first += count;
        if (batch.queries == kBatchQueries) {
          run(batch);
          batch = Batch{};
        }
      }
    }
    if (batch.queries > 0) run(batch);
  }

 private:
  void run(const Batch& batch) {
    parallel_for(pool_, heads_,
                 [&](int64_t head, int thread) { absorb_query(batch, head, thread); });
    const int64_t groups = ceil_div(heads_, head_group_);
    parallel_for(pool_, batch.num_runs * groups, [&](int64_t task, int thread) {
      attend(batch.runs[task / groups], task % groups * head_group_, thread);
    });
    parallel_for(pool_, heads_, [&](int64_t head, int thread) { expand(batch, head, thread); });
  }

  float* query(int64_t place, int64_t head) const {
    return queries_ + (place * heads_ + head) * layout_.entry_stride;
  }
  float* sum(int64_t place, int64_t head) const {
    return sums_ + (place * heads_ + head) * layout_.latent_stride;
  }
  int64_t first_row(int64_t head) const { return head * (int64_t{shape_.nope_dim} + shape_.v_dim); }

  // query = [q_nope W_UK, q_pe] for each query of the batch.
  void absorb_query(const Batch& batch, int64_t head, int thread) const {
    const int64_t q_dim = int64_t{shape_.nope_dim} + shape_.rope_dim;
    for (int64_t place = 0; place < batch.queries; ++place) {
      float* to = query(place, head);
      for (int64_t i = 0; i < layout_.entry_stride; ++i) to[i] = 0;
    }
    const Rows q = {row_of(args_.q, 0) + head * q_dim, args_.q.stride[0], batch.rows,
                    batch.queries};
    with_format(args_.wkv_b.dtype, [&](auto format) {
      add_keys<decltype(format)>(q, head, gemm_scratch(pool_, thread).panel);
    });
    for (int64_t place = 0; place < batch.queries; ++place) {
      const float* q_pe = q[place] + shape_.nope_dim;
      float* to = query(place, head) + shape_.kv_lora_rank;
      for (int64_t i = 0; i < shape_.rope_dim; ++i) to[i] = q_pe[i];
    }
  }

  template <typename Format>
  void add_keys(const Rows& q, int64_t head, float* panel) const {
    constexpr int64_t kRows = kPanelOutputs;
    for (int64_t from = 0; from < shape_.kv_lora_rank; from += kPanelColumns) {
      const int64_t to = min_of(shape_.kv_lora_rank, from + kPanelColumns);
      const int64_t stride = padded(to - from);
      for (int64_t i = 0; i < shape_.nope_dim; i += kRows) {
        const int64_t rows = min_of(kRows, shape_.nope_dim - i);
        for (int64_t r = 0; r < rows; ++r) {
          read_row<Format>(args_.wkv_b, first_row(head) + i + r, from, to, panel + r * stride);
        }
        int64_t counts[kBatchQueries];
        for (int64_t& count : counts) count = rows;
        combine({q.base + i, q.stride, q.index, q.count}, {panel, stride}, counts, stride,
                query(0, head) + from, heads_ * layout_.entry_stride);
      }
    }
  }

  // A run's queries, heads [begin, begin + head_group_), over their context.
  void attend(const Run& run, int64_t begin, int thread) const {
    const int64_t heads = min_of(head_group_, heads_ - begin);
    Softmax states[kBatchQueries][kMostHeadsAtOnce];
    for (int64_t i = 0; i < run.count; ++i) {
      float* to = sum(run.place + i, begin);
      for (int64_t j = 0; j < heads * layout_.latent_stride; ++j) to[j] = 0;
    }
    float* tile = queries_ + layout_.tiles + thread * layout_.tile_floats;
    if (in_bf16(args_)) {
      attend_in_bf16(run, begin, heads, tile, states);
    } else {
      attend_in_f32(run, begin, heads, tile, states);
    }
    for (int64_t i = 0; i < run.count; ++i) {
      for (int64_t h = 0; h < heads; ++h) {
        float* to = sum(run.place + i, begin + h);
        divide_by_sum(states[i][h], to, layout_.latent_stride, to);
      }
    }
  }

  using States = Softmax (&)[kBatchQueries][kMostHeadsAtOnce];

  void attend_in_f32(const Run& run, int64_t begin, int64_t heads, float* tile,
                     States states) const {
    const int64_t width = int64_t{shape_.kv_lora_rank} + shape_.rope_dim;
    const int64_t end = run.sequence->context + run.first + run.count;
    for (int64_t from = 0; from < end; from += kTilePositions) {
      gather(args_.cache, *run.sequence, from, min_of(end, from + kTilePositions), width, tile,
             layout_.entry_stride);
      for (int64_t i = 0; i < run.count; ++i) {
        const int64_t visible = run.sequence->context + run.first + i + 1 - from;
        if (visible <= 0) continue;
        attend_tile(run.place + i, begin, heads, tile, min_of(visible, kTilePositions), states[i]);
      }
    }
  }

  void attend_tile(int64_t place, int64_t begin, int64_t heads, const float* tile, int64_t visible,
                   Softmax* states) const {
    float scores[kMostHeadsAtOnce * kTilePositions];
    const Rows q = {query(place, begin), layout_.entry_stride, nullptr, heads};
    dot_panel(q, {tile, layout_.entry_stride}, visible, layout_.entry_stride, Part{},
              {scores, kTilePositions});
    int64_t counts[kMostHeadsAtOnce];
    for (int64_t h = 0; h < heads; ++h) {
      counts[h] = visible;
      soften(states[h], scores + h * kTilePositions, visible, shape_.softmax_scale,
             sum(place, begin + h), layout_.latent_stride);
    }
    combine({scores, kTilePositions, nullptr, heads}, {tile, layout_.entry_stride}, counts,
            layout_.latent_stride, sum(place, begin), layout_.latent_stride);
  }

#if FATHOM_CPU_BF16
  void attend_in_bf16(const Run& run, int64_t begin, int64_t heads, float* memory,
                      States states) const {
    const int64_t width = int64_t{shape_.kv_lora_rank} + shape_.rope_dim;
    for (int64_t i = 0; i < run.count; ++i) {
      for (int64_t h = 0; h < heads; ++h) {
        float* q = query(run.place + i, begin + h);
        to_bf16(q, width, reinterpret_cast<uint16_t*>(q));
      }
    }
    auto* latents = reinterpret_cast<uint16_t*>(memory);
    auto* pairs = reinterpret_cast<uint32_t*>(memory + kTilePositions / 2 * width);
    const int64_t end = run.sequence->context + run.first + run.count;
    for (int64_t from = 0; from < end; from += kTilePositions) {
      LatentTile tile;
      read_latents(args_.cache, *run.sequence, from, min_of(end, from + kTilePositions), width,
                   latents, tile);
      for (int64_t p = 0; p < kTilePositions; p += 2) {
        pair_rows(tile.rows[p], tile.rows[p + 1], shape_.kv_lora_rank,
                  pairs + p / 2 * shape_.kv_lora_rank);
      }
      for (int64_t i = 0; i < run.count; ++i) {
        const int64_t visible = run.sequence->context + run.first + i + 1 - from;
        if (visible <= 0) continue;
        attend_tile(run.place + i, begin, heads, tile, pairs, min_of(visible, kTilePositions),
                    states[i]);
      }
    }
  }

  void attend_tile(int64_t place, int64_t begin, int64_t heads, const LatentTile& tile,
                   const uint32_t* pairs, int64_t visible, Softmax* states) const {
    float scores[kMostHeadsAtOnce * kTilePositions];
    uint16_t weights[kMostHeadsAtOnce * kTilePositions];
    const Bf16Rows q = {reinterpret_cast<const uint16_t*>(query(place, begin)),
                        2 * layout_.entry_stride};
    const int64_t width = int64_t{shape_.kv_lora_rank} + shape_.rope_dim;
    bf16_dots(q, heads, tile.rows, visible, width, {scores, kTilePositions});
    for (int64_t h = 0; h < heads; ++h) {
      float* row = scores + h * kTilePositions;
      soften(states[h], row, visible, shape_.softmax_scale, sum(place, begin + h),
             layout_.latent_stride);
      narrow_weights(row, visible, weights + h * kTilePositions);
    }
    add_pair_products({weights, kTilePositions}, heads, {pairs, shape_.kv_lora_rank},
                      shape_.kv_lora_rank, kTilePositions / 2,
                      {sum(place, begin), layout_.latent_stride});
  }
#else
  void attend_in_bf16(const Run&, int64_t, int64_t, float*, States) const {}
#endif

  // out = W_UV times what the head gathered.
  void expand(const Batch& batch, int64_t head, int thread) const {
    const Rows gathered = {sum(0, head), heads_ * layout_.latent_stride, nullptr, batch.queries};
    const int64_t row = first_row(head) + shape_.nope_dim;
    auto& scratch = gemm_scratch(pool_, thread);
    for (int64_t i = 0; i < batch.num_runs; ++i) {
      const Run& run = batch.runs[i];
      float* out = row_of(args_.out, batch.rows[run.place]) + head * shape_.v_dim;
      gemm(gathered.from(run.place, run.count), args_.wkv_b, row, row + shape_.v_dim,
           {out, args_.out.stride[0]}, scratch);
    }
  }

  ThreadPool& pool_;
  const fathom_mla_attention_args& args_;
  const fathom_mla_shape& shape_;
  const Layout layout_;
  const int64_t heads_;
  const int64_t head_group_;
  float* const queries_;
  float* const sums_;
};

}  // namespace

size_t mla_decode_workspace(int threads, const fathom_mla_attention_args& args) {
  return static_cast<size_t>(Layout(threads, args).floats) * sizeof(float);
}

void mla_decode(ThreadPool& pool, const fathom_mla_attention_args& args) {
  Decode(pool, args).run();
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
