// Pairs by expert, in the order of pairs, and the tiles of each expert.
#include "backends/gpu/kernels/block_sum.h"
#include "backends/gpu/kernels/moe/moe_experts_parts.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kSortThreads = 256;
constexpr int kSortWarps = kSortThreads / kWarp;

// A block an expert.
GPU_KERNEL void moe_count(ExpertsCall call) {
  const int expert = static_cast<int>(block_x());
  int count = 0;
  for (int64_t i = thread(); i < call.pairs; i += threads()) {
    count += call.expert_of(i) == expert ? 1 : 0;
  }
  count = block_sum(count, shared<int>(0));
  if (thread() == 0) store(call.counts, expert, count);
}

struct ExpertPlace {
  int pairs;  // of the experts before it
  int tiles;
};

GPU_DEVICE ExpertPlace place_of(const ExpertsCall& call, int expert) {
  ExpertPlace place = {0, 0};
  for (int e = thread(); e < expert; e += threads()) {
    const int count = load(call.counts, e);
    place.pairs += count;
    place.tiles += (count + call.tile_tokens - 1) / call.tile_tokens;
  }
  place.pairs = block_sum(place.pairs, shared<int>(0));
  place.tiles = block_sum(place.tiles, shared<int>(kSortWarps * 4));
  return place;
}

GPU_DEVICE void store_tile(const ExpertsCall& call, int64_t i, int expert, int begin, int count) {
  const Vec<int32_t, kTileNumbers> numbers = {{expert, begin, count, 0}};
  store_vec(call.tiles, i * kTileNumbers, numbers);
}

// A block an expert.
GPU_KERNEL void moe_sort(ExpertsCall call) {
  const int expert = static_cast<int>(block_x());
  const ExpertPlace place = place_of(call, expert);
  const auto warp_counts = shared<int>(2 * kSortWarps * 4);
  int begin = place.pairs;
  for (int64_t first = 0; first < call.pairs; first += threads()) {
    const int64_t pair = first + thread();
    const bool is_own = pair < call.pairs && call.expert_of(pair) == expert;
    const int rank = vote_rank(is_own);
    const int count = vote_count(is_own);
    if (lane() == 0) store(warp_counts, warp(), count);
    block_barrier();
    int before = 0;
    int all = 0;
    for (int w = 0; w < kSortWarps; ++w) {
      const int one = load(warp_counts, w);
      before += w < warp() ? one : 0;
      all += one;
    }
    if (is_own) store(call.sorted, begin + before + rank, static_cast<int32_t>(pair));
    begin += all;
    block_barrier();
  }
  const int count = begin - place.pairs;
  const int tiles = (count + call.tile_tokens - 1) / call.tile_tokens;
  for (int i = thread(); i < tiles; i += threads()) {
    const int done = i * call.tile_tokens;
    const int left = count - done;
    store_tile(call, place.tiles + i, expert, place.pairs + done,
               left < call.tile_tokens ? left : call.tile_tokens);
  }
  if (expert != call.num_experts - 1) return;
  for (int64_t i = place.tiles + tiles + thread(); i < call.most_tiles; i += threads()) {
    store_tile(call, i, 0, 0, 0);
  }
}

}  // namespace

fathom_status queue_expert_sort(Queue& queue, const ExpertsCall& call) {
  const Shape shape = {call.num_experts, 1, 1, kSortThreads, 3 * kSortWarps * 4};
  const auto status = launch(queue, "moe_count", shape, moe_count, call);
  return status == FATHOM_OK ? launch(queue, "moe_sort", shape, moe_sort, call) : status;
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
