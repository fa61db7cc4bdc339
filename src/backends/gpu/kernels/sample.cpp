// Draws tokens by the rule of src/sampling/rule.h. Sums are of integers, so their order does not
// matter; what to keep and what to draw is found by halving, each time with one pass over the row.
#include <cstddef>

#include "backends/gpu/kernels/block_sum.h"
#include "backends/gpu/kernels/dense_args.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/ranked.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/kernels/sampling_rule.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kSampleThreads = 512;
constexpr int kSampleWarps = kSampleThreads / kWarp;
constexpr int64_t kMostTokens = int64_t{1} << 18;  // whose weights' sum is below 2^63

struct SampleCall {
  Rows<const float> logits;
  int vocab;
  Global<const char> draws;  // fathom_draw each
  Global<const int32_t> num_draws;
  Global<const uint32_t> masks;
  Global<const int32_t> seen;    // token, count
  Global<const int32_t> biases;  // token, float
  Global<const int32_t> banned;
  Global<int32_t> tokens;
  Global<float> adjusted;  // [max_draws, vocab]
};

// One draw, as all threads of its block see it.
struct Drawing {
  SampleCall call;
  int64_t draw;
  Global<float> row;
  float inverse_temperature;
  float least_exponent;
  float best = 0;          // logit
  uint64_t threshold = 0;  // tokens of lower ranks are out

  template <typename T>
  GPU_DEVICE T get(size_t offset) const {
    return load((call.draws +
                 (draw * static_cast<int64_t>(sizeof(fathom_draw)) + static_cast<int64_t>(offset)))
                    .as<const T>());
  }
};
#define GPU_DRAW_FIELD(drawing, name) \
  (drawing).get<decltype(fathom_draw::name)>(offsetof(fathom_draw, name))

GPU_DEVICE void set_logit(const Drawing& drawing, int token, float value) {
  if (is_finite(load(drawing.row, token))) store(drawing.row, token, within_f32(value));
}

GPU_DEVICE void copy_allowed(const Drawing& drawing) {
  const auto& call = drawing.call;
  const int mask = GPU_DRAW_FIELD(drawing, mask);
  const auto logits = call.logits(GPU_DRAW_FIELD(drawing, logit_row));
  const int64_t words = (call.vocab + 31) / 32;
  for (int i = thread(); i < call.vocab; i += threads()) {
    const bool is_allowed =
        mask < 0 || (load(call.masks, mask * words + i / 32) >> (i % 32) & 1) != 0;
    store(drawing.row, i, is_allowed ? load(logits, i) : float_of(0xff800000));
  }
}

GPU_DEVICE void penalise(const Drawing& drawing) {
  const int begin = GPU_DRAW_FIELD(drawing, seen_begin);
  const int count = GPU_DRAW_FIELD(drawing, seen_count);
  const float repetition = GPU_DRAW_FIELD(drawing, repetition_penalty);
  const float inverse_repetition = GPU_DRAW_FIELD(drawing, inverse_repetition_penalty);
  const float presence = GPU_DRAW_FIELD(drawing, presence_penalty);
  const float frequency = GPU_DRAW_FIELD(drawing, frequency_penalty);
  for (int i = begin + thread(); i < begin + count; i += threads()) {
    const int token = load(drawing.call.seen, 2 * int64_t{i});
    const int times = load(drawing.call.seen, 2 * int64_t{i} + 1);
    if (repetition != 1.0f) {
      const float logit = load(drawing.row, token);
      set_logit(drawing, token, logit * (logit > 0 ? inverse_repetition : repetition));
    }
    if (times == 0) continue;
    const float penalty = presence + frequency * static_cast<float>(times);
    set_logit(drawing, token, load(drawing.row, token) - penalty);
  }
}

// The entries of one token by one thread.
GPU_DEVICE void add_biases(const Drawing& drawing) {
  const int begin = GPU_DRAW_FIELD(drawing, bias_begin);
  const int end = begin + GPU_DRAW_FIELD(drawing, bias_count);
  const auto token_of = [&](int i) { return load(drawing.call.biases, 2 * int64_t{i}); };
  for (int i = begin + thread(); i < end; i += threads()) {
    const int token = token_of(i);
    if (i > begin && token_of(i - 1) == token) continue;
    for (int j = i; j < end && token_of(j) == token; ++j) {
      const float bias =
          float_of(static_cast<uint32_t>(load(drawing.call.biases, 2 * int64_t{j} + 1)));
      set_logit(drawing, token, load(drawing.row, token) + bias);
    }
  }
}

GPU_DEVICE void ban(const Drawing& drawing) {
  const int begin = GPU_DRAW_FIELD(drawing, banned_begin);
  const int count = GPU_DRAW_FIELD(drawing, banned_count);
  for (int i = begin + thread(); i < begin + count; i += threads()) {
    store(drawing.row, load(drawing.call.banned, i), float_of(0xff800000));
  }
}

// Step 1.
GPU_DEVICE void adjust(const Drawing& drawing) {
  copy_allowed(drawing);
  block_barrier();
  penalise(drawing);
  block_barrier();
  add_biases(drawing);
  block_barrier();
  ban(drawing);
  block_barrier();
}

// Step 2: the first rank; 0: none.
GPU_DEVICE uint64_t best_rank(const Drawing& drawing) {
  uint64_t best = 0;
  for (int i = thread(); i < drawing.call.vocab; i += threads()) {
    const float logit = load(drawing.row, i);
    if (!is_finite(logit)) continue;
    const uint64_t rank = rank_of(logit, i);
    best = rank > best ? rank : best;
  }
  best = warp_max(best);
  const auto bests = shared<uint64_t>(0);
  if (lane() == 0) store(bests, warp(), best);
  block_barrier();
  for (int w = 0; w < kSampleWarps; ++w) {
    const uint64_t one = load(bests, w);
    best = one > best ? one : best;
  }
  block_barrier();
  return best;
}

// Step 3, and what steps 4 and 5 left: 0 where a token is out.
GPU_DEVICE uint64_t weight_of_token(const Drawing& drawing, float logit, uint64_t rank) {
  if (!is_finite(logit) || rank < drawing.threshold) return 0;
  const float exponent = (logit - drawing.best) * drawing.inverse_temperature;
  return exponent < drawing.least_exponent ? 0 : weight_of(exponent);
}

// The sum over tokens of measure(token, rank, weight). `turn` counts the calls: sums take turns
// with two places in shared memory.
template <typename Measure>
GPU_DEVICE uint64_t sum_of(const Drawing& drawing, int& turn, Measure measure) {
  uint64_t sum = 0;
  for (int i = thread(); i < drawing.call.vocab; i += threads()) {
    const float logit = load(drawing.row, i);
    const uint64_t rank = rank_of(logit, i);
    const uint64_t weight = weight_of_token(drawing, logit, rank);
    if (weight > 0) sum += measure(i, rank, weight);
  }
  return block_sum(sum, shared<uint64_t>(turn++ % 2 * kSampleWarps * 8));
}

// The rank of the last of the fewest first tokens that measure `needed` together.
template <typename Measure>
GPU_DEVICE uint64_t least_rank(const Drawing& drawing, int& turn, uint64_t needed,
                               Measure measure) {
  uint64_t least = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const uint64_t with = least | uint64_t{1} << bit;
    // The lower half is ~token: its upper bits are set in all ranks.
    if (bit < 32 && int64_t{1} << bit >= kMostTokens) {
      least = with;
      continue;
    }
    const uint64_t sum = sum_of(drawing, turn, [&](int, uint64_t rank, uint64_t weight) {
      return rank >= with ? measure(weight) : 0;
    });
    if (sum >= needed) least = with;
  }
  return least;
}

GPU_DEVICE uint64_t one_each(uint64_t) {
  return 1;
}

// Steps 3 to 6.
GPU_DEVICE int drawn_token(Drawing& drawing) {
  int turn = 0;
  const auto all = [](int, uint64_t, uint64_t weight) { return weight; };
  const auto weight_itself = [](uint64_t weight) { return weight; };
  if (const int top_k = GPU_DRAW_FIELD(drawing, top_k); top_k > 0) {
    const auto kept = static_cast<uint64_t>(top_k);
    const uint64_t count =
        sum_of(drawing, turn, [](int, uint64_t, uint64_t) { return uint64_t{1}; });
    if (count > kept) drawing.threshold = least_rank(drawing, turn, kept, one_each);
  }
  if (const uint64_t share = GPU_DRAW_FIELD(drawing, share); share > 0) {
    const uint64_t needed = share_of(sum_of(drawing, turn, all), share);
    drawing.threshold = least_rank(drawing, turn, needed, weight_itself);
  }
  const uint64_t total = sum_of(drawing, turn, all);
  const uint64_t target = multiply_high(total, GPU_DRAW_FIELD(drawing, noise));
  int token = 0;
  for (int bit = static_cast<int>(kMostTokens) / 2; bit > 0; bit /= 2) {
    const int with = token | bit;
    if (with >= drawing.call.vocab) continue;
    const uint64_t before = sum_of(
        drawing, turn, [&](int i, uint64_t, uint64_t weight) { return i < with ? weight : 0; });
    if (before <= target) token = with;
  }
  return token;
}

// A block a draw.
GPU_KERNEL void sample(SampleCall call) {
  const int64_t draw = block_x();
  if (draw >= load(call.num_draws)) return;
  Drawing drawing = {call, draw, call.adjusted + draw * call.vocab, 0, 0};
  drawing.inverse_temperature = GPU_DRAW_FIELD(drawing, inverse_temperature);
  drawing.least_exponent = GPU_DRAW_FIELD(drawing, least_exponent);
  adjust(drawing);
  const uint64_t best = best_rank(drawing);
  int token = -1;
  if (best != 0) {
    token = index_of_rank(best);
    drawing.best = load(drawing.row, token);
    if (GPU_DRAW_FIELD(drawing, greedy) == 0) token = drawn_token(drawing);
  }
  if (thread() == 0) store(call.tokens, draw, token);
}

fathom_status supports_sample(const void* bytes) {
  const auto& args = *static_cast<const fathom_sample_args*>(bytes);
  if (!is_matrix(args.logits, FATHOM_F32, args.logits.shape[1])) {
    return not_taken("sample", "logits in F32");
  }
  return args.logits.shape[1] <= kMostTokens ? FATHOM_OK
                                             : not_taken("sample", "2^18 tokens at most");
}

size_t workspace_of_sample(const void* bytes) {
  const auto& args = *static_cast<const fathom_sample_args*>(bytes);
  return static_cast<size_t>(args.max_draws * args.logits.shape[1]) * sizeof(float);
}

fathom_status queue_sample(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_sample_args*>(bytes);
  if (args.max_draws == 0) return FATHOM_OK;
  if (args.workspace_bytes < workspace_of_sample(bytes)) {
    return device::fail(FATHOM_INVALID, "sample: expected a workspace of " +
                                            std::to_string(workspace_of_sample(bytes)) +
                                            " bytes, got " + std::to_string(args.workspace_bytes));
  }
  const SampleCall call = {rows_of<const float>(args.logits),
                           static_cast<int>(args.logits.shape[1]),
                           reinterpret_cast<const char*>(args.draws),
                           args.num_draws,
                           args.masks,
                           reinterpret_cast<const int32_t*>(args.seen),
                           reinterpret_cast<const int32_t*>(args.biases),
                           args.banned,
                           args.tokens,
                           static_cast<float*>(args.workspace)};
  return launch(queue, "sample", {args.max_draws, 1, 1, kSampleThreads, 2 * kSampleWarps * 8},
                sample, call);
}

}  // namespace

const Kernel kSample = {supports_sample, workspace_of_sample, queue_sample};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
