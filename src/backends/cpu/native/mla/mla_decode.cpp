// Absorbed form: a query is turned into latent space by W_UK, looks at the latents as they are
// cached, all heads at the same ones, and what it gathers is turned into values by W_UV. Queries
// go through in batches of a bounded size, so that the weights are read once a batch. Threads share
// the context in segments, whose results are merged in their order.
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/mla/mla_decode_segment.h"
#include "backends/cpu/native/products/gemm.h"
#include "backends/cpu/native/products/shared_work.h"
#include "backends/cpu/native/products/weighted_rows.h"

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

constexpr int64_t kBatchQueries = kMostSegmentQueries;

// Rows (a query's heads) of segments that are held until they are merged: enough segments for all
// threads, of the smallest batch.
int64_t parts_held(int threads, int64_t heads) {
  constexpr int64_t kLeast = 1024;
  constexpr int64_t kPerThread = 4 * kMostSegmentHeads;
  return max_of(kLeast, max_of(kBatchQueries * heads, kPerThread * threads));
}

// The workspace, in floats.
struct WorkspaceLayout {
  WorkspaceLayout(int threads, const fathom_mla_attention_args& args)
      : heads(ceil_div(args.shape.num_heads, kTileHeads) * kTileHeads),
        entry_stride(padded(int64_t{args.shape.kv_lora_rank} + args.shape.rope_dim)),
        latent_stride(padded(args.shape.kv_lora_rank)),
        parts(parts_held(threads, args.shape.num_heads)) {
    const int64_t queries = min_of(kBatchQueries, args.sequences.max_queries);
    take(latent_queries, queries * heads * entry_stride);
    take(sums, queries * args.shape.num_heads * latent_stride);
    take(states, queries * args.shape.num_heads * kStateFloats);
    take(part_sums, parts * latent_stride);
    take(part_states, parts * kStateFloats);
    thread_floats = max_of(segment_floats(entry_stride, latent_stride, queries),
                           kBatchQueries * padded(args.shape.v_dim));
    take(of_threads, threads * thread_floats);
  }

  // Heads are read in whole tiles.
  static constexpr int64_t kTileHeads = 8;
  static constexpr int64_t kStateFloats = sizeof(Softmax) / sizeof(float);

  int64_t heads;          // of latent queries
  int64_t entry_stride;   // of latent queries and cached entries: latent, then rotated part
  int64_t latent_stride;  // of sums: latent only
  int64_t parts;
  int64_t latent_queries = 0;  // [batch, heads, entry_stride]
  int64_t sums = 0;            // [batch, num_heads, latent_stride]
  int64_t states = 0;          // Softmax [batch, num_heads]
  int64_t part_sums = 0;       // [segments, batch, num_heads, latent_stride]
  int64_t part_states = 0;     // Softmax [segments, batch, num_heads]
  int64_t of_threads = 0;      // [threads, thread_floats]
  int64_t thread_floats = 0;
  int64_t floats = 0;

 private:
  void take(int64_t& part, int64_t wanted) {
    part = floats;
    floats += padded(wanted);
  }
};

// Queries [first, first + count) of a sequence, at [place, place + count) of the batch.
struct Run {
  const fathom_sequence* sequence;
  int64_t first;
  int64_t count;
  int64_t place;

  int64_t position(int64_t query) const { return sequence->context + first + query; }
  int64_t segments() const { return segment_of(position(count) - 1) + 1; }
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
        heads_(shape_.num_heads) {}

  void run() {
    Batch batch;
    for (int32_t s = 0; s < *args_.sequences.count; ++s) {
      const fathom_sequence& sequence = args_.sequences.sequences[s];
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
  // Segments are worked on so many at a time as there is room for their results.
  void run(const Batch& batch) {
    const int64_t absorbed = batch.queries * shape_.nope_dim * shape_.kv_lora_rank;
    share_work(pool_, heads_, absorbed,
               [&](int64_t head, int thread) { absorb_query(batch, head, thread); });
    int64_t segments = 0;
    for (int64_t i = 0; i < batch.num_runs; ++i) {
      segments = max_of(segments, batch.runs[i].segments());
    }
    const int64_t at_once = layout_.parts / (batch.queries * heads_);
    for (int64_t first = 0; first < segments; first += at_once) {
      const int64_t end = min_of(segments, first + at_once);
      attend(batch, first, end);
      const int64_t merged = batch.queries * (end - first) * shape_.kv_lora_rank;
      const int64_t expanded = batch.queries * shape_.v_dim * shape_.kv_lora_rank;
      share_work(pool_, heads_, merged + expanded, [&](int64_t head, int thread) {
        merge(batch, first, end, head);
        if (end == segments) expand(batch, head, thread);
      });
    }
  }

  // Floats of the workspace, and states.
  float* at(int64_t part) const { return static_cast<float*>(args_.workspace) + part; }
  Softmax* states_at(int64_t part) const { return reinterpret_cast<Softmax*>(at(part)); }
  int64_t row(int64_t place, int64_t head) const { return place * heads_ + head; }

  float* query(int64_t place, int64_t head) const {
    return at(layout_.latent_queries) + (place * layout_.heads + head) * layout_.entry_stride;
  }
  float* sum(int64_t place, int64_t head) const {
    return at(layout_.sums) + row(place, head) * layout_.latent_stride;
  }
  Softmax* state(int64_t place, int64_t head) const {
    return states_at(layout_.states) + row(place, head);
  }
  // Of the `slot`th segment that is held.
  float* part_sum(const Batch& batch, int64_t slot, int64_t place, int64_t head) const {
    return at(layout_.part_sums) +
           (slot * batch.queries * heads_ + row(place, head)) * layout_.latent_stride;
  }
  Softmax* part_state(const Batch& batch, int64_t slot, int64_t place, int64_t head) const {
    return states_at(layout_.part_states) + slot * batch.queries * heads_ + row(place, head);
  }
  float* of_thread(int thread) const {
    return at(layout_.of_threads) + thread * layout_.thread_floats;
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
    const int64_t width = int64_t{shape_.kv_lora_rank} + shape_.rope_dim;
    for (int64_t place = 0; place < batch.queries; ++place) {
      const float* q_pe = q[place] + shape_.nope_dim;
      float* to = query(place, head);
      for (int64_t i = 0; i < shape_.rope_dim; ++i) to[shape_.kv_lora_rank + i] = q_pe[i];
      prepare_query(args_, width, to);
    }
    if (head == heads_ - 1) clear_spare_heads(batch);
  }

  void clear_spare_heads(const Batch& batch) const {
    const int64_t spare = (layout_.heads - heads_) * layout_.entry_stride;
    for (int64_t place = 0; place < batch.queries; ++place) {
      memset(query(place, heads_), 0, static_cast<size_t>(spare) * sizeof(float));
    }
  }

  template <typename Format>
  void add_keys(const Rows& q, int64_t head, float* panel) const {
    const int64_t query_stride = layout_.heads * layout_.entry_stride;
    if (q.count <= kMostWeightings &&
        takes_few_weightings<Format>(args_.wkv_b, shape_.kv_lora_rank)) {
      return add_weighted_rows<Format>(q, args_.wkv_b, first_row(head), shape_.nope_dim,
                                       shape_.kv_lora_rank, {query(0, head), query_stride});
    }
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
                query(0, head) + from, query_stride);
      }
    }
  }

  // Segments [first, end) of every run that reaches so far.
  void attend(const Batch& batch, int64_t first, int64_t end) const {
    const int64_t groups = ceil_div(heads_, kMostSegmentHeads);
    const int64_t slots = end - first;
    parallel_for(pool_, batch.num_runs * slots * groups, [&](int64_t task, int thread) {
      const Run& run = batch.runs[task / groups / slots];
      const int64_t slot = task / groups % slots;
      if (first + slot >= run.segments()) return;
      const int64_t head = task % groups * kMostSegmentHeads;
      const int64_t begin = segment_begin(first + slot);
      const int64_t after = segment_begin(first + slot + 1);
      const Segment segment = {.args = args_,
                               .blocks = block_table(args_.sequences, *run.sequence),
                               .begin = begin,
                               .end = min_of(run.position(run.count), after),
                               .first_position = run.position(0),
                               .queries = run.count,
                               .heads = min_of(kMostSegmentHeads, heads_ - head),
                               .q = query(run.place, head),
                               .entry_stride = layout_.entry_stride,
                               .query_stride = layout_.heads * layout_.entry_stride,
                               .sums = part_sum(batch, slot, run.place, head),
                               .latent_stride = layout_.latent_stride,
                               .sums_stride = heads_ * layout_.latent_stride,
                               .states = part_state(batch, slot, run.place, head),
                               .states_stride = heads_};
      attend_segment(segment, of_thread(thread));
    });
  }

  // Takes segments [first, end) into the head's results, in their order.
  void merge(const Batch& batch, int64_t first, int64_t end, int64_t head) const {
    for (int64_t i = 0; i < batch.num_runs; ++i) {
      const Run& run = batch.runs[i];
      for (int64_t query = 0; query < run.count; ++query) {
        const int64_t place = run.place + query;
        const int64_t seen = segment_of(run.position(query)) + 1;
        for (int64_t segment = first; segment < min_of(seen, end); ++segment) {
          merge(*part_state(batch, segment - first, place, head),
                part_sum(batch, segment - first, place, head), segment == 0, *state(place, head),
                sum(place, head));
        }
      }
    }
  }

  void merge(const Softmax& part, const float* part_sum, bool is_first, Softmax& state,
             float* sum) const {
    if (is_first) {
      state = part;
      memcpy(sum, part_sum, static_cast<size_t>(layout_.latent_stride) * sizeof(float));
    } else {
      add_softmax(part, part_sum, layout_.latent_stride, state, sum);
    }
  }

  // out = W_UV times what the head gathered.
  void expand(const Batch& batch, int64_t head, int thread) const {
    for (int64_t place = 0; place < batch.queries; ++place) {
      divide_by_sum(*state(place, head), sum(place, head), layout_.latent_stride, sum(place, head));
    }
    split_in_place(sum(0, head), heads_ * layout_.latent_stride, batch.queries, args_.wkv_b);
    const Rows gathered = {sum(0, head), heads_ * layout_.latent_stride, nullptr, batch.queries};
    const int64_t row = first_row(head) + shape_.nope_dim;
    const int64_t stride = padded(shape_.v_dim);
    gemm(gathered, args_.wkv_b, row, row + shape_.v_dim, {of_thread(thread), stride},
         gemm_scratch(pool_, thread));
    for (int64_t place = 0; place < batch.queries; ++place) {
      memcpy(row_of(args_.out, batch.rows[place]) + head * shape_.v_dim,
             of_thread(thread) + place * stride, static_cast<size_t>(shape_.v_dim) * sizeof(float));
    }
  }

  ThreadPool& pool_;
  const fathom_mla_attention_args& args_;
  const fathom_mla_shape& shape_;
  const WorkspaceLayout layout_;
  const int64_t heads_;
};

}  // namespace

size_t mla_decode_workspace(int threads, const fathom_mla_attention_args& args) {
  return static_cast<size_t>(WorkspaceLayout(threads, args).floats) * sizeof(float);
}

void mla_decode(ThreadPool& pool, const fathom_mla_attention_args& args) {
  Decode(pool, args).run();
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
