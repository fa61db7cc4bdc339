#include "backends/gpu/kernels/block_sum.h"
#include "backends/gpu/kernels/dense_args.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/ranked.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kStatsThreads = 256;

struct StatsCall {
  Rows<const float> logits;
  int vocab;
  Global<float> max_value;
  Global<int32_t> max_index;
  Global<float> log_sum_exp;
};

// A block a row.
GPU_KERNEL void logits_stats(StatsCall call) {
  const int64_t row = block_x();
  const auto logits = call.logits(row);
  uint64_t best = 0;
  for (int i = thread(); i < call.vocab; i += threads()) {
    const uint64_t one = rank_of(load(logits, i), i);
    best = one > best ? one : best;
  }
  best = warp_max(best);
  const auto bests = shared<uint64_t>(0);
  if (lane() == 0) store(bests, warp(), best);
  block_barrier();
  for (int w = 0; w < warps(); ++w) {
    const uint64_t one = load(bests, w);
    best = one > best ? one : best;
  }
  const int index = index_of_rank(best);
  const float greatest = load(logits, index);
  float sum = 0;
  for (int i = thread(); i < call.vocab; i += threads()) sum += exp(load(logits, i) - greatest);
  sum = block_sum(sum, shared<float>(warps() * static_cast<int>(sizeof(uint64_t))));
  if (thread() != 0) return;
  store(call.max_value, row, greatest);
  store(call.max_index, row, index);
  store(call.log_sum_exp, row, greatest + log(sum));
}

fathom_status supports_stats(const void* bytes) {
  const auto& args = *static_cast<const fathom_logits_stats_args*>(bytes);
  return is_matrix(args.logits, FATHOM_F32, args.logits.shape[1])
             ? FATHOM_OK
             : not_taken("logits_stats", "logits in F32");
}

fathom_status queue_stats(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_logits_stats_args*>(bytes);
  if (args.logits.shape[0] == 0 || args.logits.shape[1] == 0) return FATHOM_OK;
  const StatsCall call = {rows_of<const float>(args.logits), static_cast<int>(args.logits.shape[1]),
                          args.max_value, args.max_index, args.log_sum_exp};
  constexpr int kWarps = kStatsThreads / kWarp;
  const Shape shape = {args.logits.shape[0], 1, 1, kStatsThreads,
                       kWarps * static_cast<int>(sizeof(uint64_t) + sizeof(float))};
  return launch(queue, "logits_stats", shape, logits_stats, call);
}

}  // namespace

const Kernel kLogitsStats = {supports_stats, nullptr, queue_stats};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
