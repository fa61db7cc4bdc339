// Tokens are sorted by expert, so that each expert's weights are read once a call for all tokens
// that chose it. A "pair" is one (token, choice) whose expert is here.
#include "backends/cpu/kernels/expert_weights.h"
#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/products/elementwise.h"
#include "backends/cpu/native/products/gemm.h"
#include "backends/cpu/native/products/packed_gemm.h"
#include "backends/cpu/native/products/shared_work.h"

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

static_assert(kStripOutputs <= kPanelOutputs);

bool is_packed(const fathom_moe_experts_args& args, const fathom_weight& format) {
  return args.num_experts > 0 && format.layout != FATHOM_LAYOUT_ROWS;
}

// Where the parts of the workspace begin, in bytes.
struct WorkspaceLayout {
  explicit WorkspaceLayout(int thread_count, const fathom_moe_experts_args& args)
      : pairs(args.x.shape[0] * args.top_k), inner(args.num_experts > 0 ? padded(args.gate.n) : 0) {
    take(starts, (args.num_experts + 1) * sizeof(int32_t));
    take(active, args.num_experts * sizeof(int32_t));
    take(tokens, pairs * sizeof(int32_t));
    take(places, pairs * sizeof(int32_t));
    take(hidden, pairs * inner * sizeof(float));
    if (is_packed(args, args.gate)) {
      take(prepared_x, args.x.shape[0] * quantised_bytes(args.gate));
    } else if (args.num_experts > 0) {
      take(prepared_x, split_bytes(args.x.shape[0], args.gate));
    }
    if (is_packed(args, args.down)) {
      take(quantised_hidden, pairs * quantised_bytes(args.down));
    }
    take(results, thread_count * pairs * kPanelOutputs * sizeof(float));
  }

  int64_t pairs;                 // at most
  int64_t inner;                 // floats from one pair's hidden values to the next
  int64_t starts = 0;            // [experts + 1]: the expert's first pair, in their order by expert
  int64_t active = 0;            // [experts]: those with pairs
  int64_t tokens = 0;            // [pairs]: by expert, whose row of x it is
  int64_t places = 0;            // [token * top_k + choice]: its place by expert, or -1
  int64_t hidden = 0;            // [pairs, inner]: by expert
  int64_t prepared_x = 0;        // [tokens]: quantised where gate and up are packed, or split
  int64_t quantised_hidden = 0;  // [pairs]: by expert, where down is packed
  int64_t results = 0;           // [thread, pairs, kPanelOutputs]
  int64_t bytes = 0;

 private:
  void take(int64_t& part, uint64_t wanted) {
    part = bytes;
    bytes += ceil_div(static_cast<int64_t>(wanted), 64) * 64;
  }
};

class Experts {
 public:
  Experts(ThreadPool& pool, const fathom_moe_experts_args& args)
      : pool_(pool), args_(args), layout_(pool.threads(), args) {
    starts_ = at<int32_t>(layout_.starts);
    active_ = at<int32_t>(layout_.active);
    tokens_ = at<int32_t>(layout_.tokens);
    places_ = at<int32_t>(layout_.places);
    hidden_ = at<float>(layout_.hidden);
    results_ = at<float>(layout_.results);
  }

  void run() {
    sort_by_expert();
    if (is_packed(args_, args_.gate)) {
      gate_up_packed();
    } else {
      gate_up_rows();
    }
    if (is_packed(args_, args_.down)) {
      down_packed();
    } else {
      down_rows();
    }
  }

 private:
  void gate_up_rows() {
    if (args_.num_experts == 0) return;
    const Rows x = split(pool_, row_of(args_.x, 0), args_.x.stride[0], args_.x.shape[0], args_.gate,
                         at<std::byte>(layout_.prepared_x));
    const int64_t inner_chunks = chunks(args_.gate.n);
    const int64_t products = 2 * outputs_at_once() * args_.x.shape[1];
    share_work(pool_, num_active_ * inner_chunks, products, [&](int64_t task, int thread) {
      gate_up(x, active_[task / inner_chunks], task % inner_chunks * outputs_at_once(), thread);
    });
  }
  void down_rows() {
    if (args_.num_experts > 0 && takes_split_rows(args_.down)) {
      for_rows(pool_, pairs(), layout_.inner, [&](int64_t pair, int) {
        split_in_place(hidden_ + pair * layout_.inner, layout_.inner, 1, args_.down);
      });
    }
    share_work(pool_, chunks(args_.x.shape[1]), pairs() * outputs_at_once() * layout_.inner,
               [&](int64_t chunk, int thread) { down(chunk * outputs_at_once(), thread); });
  }

  void gate_up_packed() {
    const QuantisedRows x = quantise(pool_, row_of(args_.x, 0), args_.x.stride[0], args_.x.shape[0],
                                     args_.gate, at<std::byte>(layout_.prepared_x));
    const int64_t strips = ceil_div(args_.gate.n, kStripOutputs);
    const int64_t products = 2 * kStripOutputs * args_.x.shape[1];
    share_work(pool_, num_active_ * strips, products, [&](int64_t i, int) {
      const int64_t next = min_of(i + 1, num_active_ * strips - 1);
      gate_up_strip(x, active_[i / strips], i % strips,
                    strip_data(gate_of(args_, active_[next / strips]), next % strips));
    });
  }
  void down_packed() {
    const QuantisedRows hidden = quantise(pool_, hidden_, layout_.inner, pairs(), args_.down,
                                          at<std::byte>(layout_.quantised_hidden));
    share_work(pool_, ceil_div(args_.x.shape[1], kStripOutputs),
               pairs() * kStripOutputs * layout_.inner,
               [&](int64_t strip, int thread) { down_strip(hidden, strip, thread); });
  }

  template <typename T>
  T* at(int64_t offset) const {
    return reinterpret_cast<T*>(static_cast<char*>(args_.workspace) + offset);
  }
  // Of weights in rows. With few tokens no more than it takes, so that threads end together.
  int64_t outputs_at_once() const {
    constexpr int64_t kFewOutputs = 16;
    return args_.x.shape[0] <= kDirectRows ? kFewOutputs : kPanelOutputs;
  }
  // Of a token and one of its experts here.
  int64_t pairs() const { return starts_[args_.num_experts]; }
  int64_t chunks(int64_t columns) const { return ceil_div(columns, outputs_at_once()); }

  bool is_here(int64_t pair) const {
    const int64_t e = args_.expert_ids[pair] - args_.first_expert;
    return e >= 0 && e < args_.num_experts;
  }

  void sort_by_expert() {
    const int64_t all = args_.x.shape[0] * args_.top_k;
    for (int64_t e = 0; e <= args_.num_experts; ++e) starts_[e] = 0;
    for (int64_t i = 0; i < all; ++i) {
      if (is_here(i)) ++starts_[args_.expert_ids[i] - args_.first_expert];
    }
    int32_t next = 0;
    for (int64_t e = 0; e < args_.num_experts; ++e) {
      if (starts_[e] > 0) active_[num_active_++] = static_cast<int32_t>(e);
      const int32_t count = starts_[e];
      starts_[e] = next;
      next += count;
    }
    for (int64_t i = 0; i < all; ++i) {
      places_[i] = -1;
      if (!is_here(i)) continue;
      int32_t& place = starts_[args_.expert_ids[i] - args_.first_expert];
      tokens_[place] = static_cast<int32_t>(i / args_.top_k);
      places_[i] = place++;
    }
    // Each start has moved to its expert's end, which is the next one's start.
    for (int64_t e = args_.num_experts; e > 0; --e) starts_[e] = starts_[e - 1];
    starts_[0] = 0;
  }

  // Hidden values [begin, begin + outputs_at_once()) of each of the expert's pairs.
  void gate_up(const Rows& x, int64_t expert, int64_t begin, int thread) {
    struct Scratch {
      GemmScratch gemm;
      float up[kPanelRows * kPanelOutputs];
    };
    static_assert(sizeof(Scratch) <= ThreadPool::kScratchBytes);
    auto& scratch = *reinterpret_cast<Scratch*>(pool_.scratch(thread));
    const fathom_weight gate = gate_of(args_, expert);
    const fathom_weight up = up_of(args_, expert);
    const int64_t end = min_of(gate.n, begin + outputs_at_once());
    const int64_t last_pair = starts_[expert + 1];
    for (int64_t pair = starts_[expert]; pair < last_pair; pair += kPanelRows) {
      const int64_t rows = min_of(kPanelRows, last_pair - pair);
      const Rows of_pairs = {x.base, x.stride, tokens_ + pair, rows};
      float* hidden = hidden_ + pair * layout_.inner + begin;
      gemm(of_pairs, gate, begin, end, {hidden, layout_.inner}, scratch.gemm);
      gemm(of_pairs, up, begin, end, {scratch.up, kPanelOutputs}, scratch.gemm);
      for (int64_t r = 0; r < rows; ++r) {
        float* row = hidden + r * layout_.inner;
        map(row, scratch.up + r * kPanelOutputs, row, end - begin,
            [](Vec g, Vec u) { return mul(silu(g), u); });
      }
    }
  }

  // Hidden values of one strip for each of the expert's pairs; `then` is read next.
  void gate_up_strip(const QuantisedRows& x, int64_t expert, int64_t strip, const uint8_t* then) {
    const fathom_weight gate = gate_of(args_, expert);
    const fathom_weight up = up_of(args_, expert);
    const int64_t begin = strip * kStripOutputs;
    const int64_t columns = min_of(kStripOutputs, gate.n - begin);
    const int64_t last_pair = starts_[expert + 1];
    for (int64_t pair = starts_[expert]; pair < last_pair; pair += kPackedRows) {
      const QuantisedRows rows = {x.base, x.stride, tokens_ + pair,
                                  min_of(kPackedRows, last_pair - pair)};
      StripSums gates, ups;
      packed_strip(rows, gate, strip, strip_data(up, strip), gates);
      packed_strip(rows, up, strip, then, ups);
      for (int64_t r = 0; r < rows.count; ++r) {
        map(gates.at[r], ups.at[r], hidden_ + (pair + r) * layout_.inner + begin, columns,
            [](Vec g, Vec u) { return mul(silu(g), u); });
      }
    }
  }

  // One strip of every token's result.
  void down_strip(const QuantisedRows& hidden, int64_t strip, int thread) {
    const int64_t begin = strip * kStripOutputs;
    const int64_t columns = min_of(kStripOutputs, args_.x.shape[1] - begin);
    float* results = results_ + thread * layout_.pairs * kPanelOutputs;
    for (int64_t i = 0; i < num_active_; ++i) {
      const bool is_last = i + 1 == num_active_;
      const fathom_weight weight = down_of(args_, active_[i]);
      const uint8_t* then =
          strip_data(down_of(args_, active_[is_last ? 0 : i + 1]), strip + is_last);
      const int64_t last_pair = starts_[active_[i] + 1];
      for (int64_t pair = starts_[active_[i]]; pair < last_pair; pair += kPackedRows) {
        const QuantisedRows rows = hidden.from(pair, min_of(kPackedRows, last_pair - pair));
        StripSums sums;
        packed_strip(rows, weight, strip, then, sums);
        for (int64_t r = 0; r < rows.count; ++r) {
          memcpy(results + (pair + r) * kPanelOutputs, sums.at[r], sizeof(sums.at[r]));
        }
      }
    }
    for (int64_t t = 0; t < args_.x.shape[0]; ++t) {
      sum_choices(t, results, row_of(args_.out, t) + begin, columns);
    }
  }

  // Columns [begin, begin + outputs_at_once()) of every token's result.
  void down(int64_t begin, int thread) {
    const int64_t columns = min_of(args_.x.shape[1] - begin, outputs_at_once());
    float* results = results_ + thread * layout_.pairs * kPanelOutputs;
    for (int64_t i = 0; i < num_active_; ++i) {
      const int64_t expert = active_[i];
      const int64_t pair = starts_[expert];
      const Rows hidden = {hidden_ + pair * layout_.inner, layout_.inner, nullptr,
                           starts_[expert + 1] - pair};
      gemm(hidden, down_of(args_, expert), begin, begin + columns,
           {results + pair * kPanelOutputs, kPanelOutputs}, gemm_scratch(pool_, thread));
    }
    for (int64_t t = 0; t < args_.x.shape[0]; ++t) {
      sum_choices(t, results, row_of(args_.out, t) + begin, columns);
    }
  }

  // A token's sum begins from zero and runs over its choices in rising order.
  void sum_choices(int64_t t, const float* results, float* out, int64_t columns) const {
    float sum[kPanelOutputs] = {};
    for (int64_t i = t * args_.top_k; i < (t + 1) * args_.top_k; ++i) {
      if (places_[i] < 0) continue;
      const Vec weight = broadcast(args_.expert_weights[i]);
      map(results + places_[i] * kPanelOutputs, sum, sum, columns,
          [&](Vec result, Vec before) { return fma(result, weight, before); });
    }
    if (args_.accumulate != 0) {
      map(out, sum, out, columns, [](Vec a, Vec b) { return add(a, b); });
    } else {
      memcpy(out, sum, static_cast<size_t>(columns) * sizeof(float));
    }
  }

  ThreadPool& pool_;
  const fathom_moe_experts_args& args_;
  WorkspaceLayout layout_;
  int32_t* starts_;
  int32_t* active_;
  int32_t* tokens_;
  int32_t* places_;
  float* hidden_;
  float* results_;
  int64_t num_active_ = 0;
};

}  // namespace

size_t moe_experts_workspace(int threads, const fathom_moe_experts_args& args) {
  return static_cast<size_t>(WorkspaceLayout(threads, args).bytes);
}

void moe_experts(ThreadPool& pool, const fathom_moe_experts_args& args) {
  Experts(pool, args).run();
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
