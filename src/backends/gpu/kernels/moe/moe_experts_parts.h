// What the kernels of MOE_EXPERTS hand to each other. A pair is a token and one of the experts it
// chose: pair t * top_k + j. Pairs are sorted by expert, and each expert's cut into tiles of
// tokens, so that one launch multiplies those of all experts: an expert that nobody chose costs
// nothing, and with few tokens each chosen expert's weights are read once.
#pragma once

#include "backends/gpu/kernels/product.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

// Pairs [begin, begin + count) of the sorted ones; count 0: no tile.
struct ExpertTile {
  int expert;
  int begin;
  int count;
};
constexpr int kTileNumbers = 4;  // one of them unused

// Which of an expert's addresses, in fathom_expert.
enum class ExpertPart { kGate = 0, kUp = 1, kDown = 2 };
constexpr int kExpertAddresses = 6;  // those of scales are the last three

struct ExpertsCall {
  Rows<const bf16> x;
  int64_t pairs;
  Global<const int32_t> ids;
  Global<const float> weights;
  int top_k;
  bool accumulates;
  int64_t first_expert;
  int num_experts;
  Global<const uint64_t> experts;  // [num_experts, kExpertAddresses]
  WeightShape gate;                // and up
  WeightShape down;
  Rows<bf16> out;
  int tile_tokens;
  int64_t most_tiles;
  // In the workspace:
  Global<int32_t> counts;  // [num_experts]: pairs of each
  Global<int32_t> sorted;  // [pairs]
  Global<int32_t> tiles;   // [most_tiles, kTileNumbers]
  Global<bf16> hidden;     // [pairs, I]
  Global<bf16> results;    // [pairs, H]

  // Its place among the call's experts, or -1.
  GPU_DEVICE int expert_of(int64_t pair) const {
    const int64_t place = load(ids, pair) - first_expert;
    return place >= 0 && place < num_experts ? static_cast<int>(place) : -1;
  }
  GPU_DEVICE ExpertTile tile(int64_t i) const {
    const auto numbers = load_vec<kTileNumbers>(tiles, i * kTileNumbers);
    return {numbers[0], numbers[1], numbers[2]};
  }
  template <typename W>
  GPU_DEVICE Weights<W> weights_of(int expert, ExpertPart part) const {
    const int64_t at = int64_t{expert} * kExpertAddresses + static_cast<int>(part);
    return {reinterpret_cast<const W*>(load(experts, at)),
            reinterpret_cast<const float*>(load(experts, at + kExpertAddresses / 2)),
            part == ExpertPart::kDown ? down : gate};
  }
};

struct ExpertDepths {
  ProductDepth gate;  // and up
  ProductDepth down;
};

fathom_status queue_expert_sort(Queue& queue, const ExpertsCall& call);
// With weights of that type, see with_weight_type().
fathom_status queue_expert_products(Queue& queue, const ExpertsCall& call,
                                    const ExpertDepths& depths, const fathom_weight& format);
fathom_status queue_expert_combine(Queue& queue, const ExpertsCall& call, int64_t tokens,
                                   int64_t columns);

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
