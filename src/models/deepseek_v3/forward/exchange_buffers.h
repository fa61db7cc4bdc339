// How experts on several ranks are reached, and the memory that it takes (expert_exchange.h).
#pragma once

#include <cstdint>
#include <optional>

#include "device/tensor.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/sharding/rank_shard.h"
#include "ops/ops.h"

namespace fathom::models::deepseek_v3 {

using device::Tensor;

// own        one data index: nothing is passed on.
// gathered   up to kMostGathered data indices, where each expert has one place: every rank gets all
//            rows, and of all results the sums of its own. The host takes no part.
// routed     more data indices, or experts that have copies, move, or are shared ones: a row goes
//            to each rank that has an expert it chose, once; the host looks where to.
// dispatched several data indices, where each expert has one place and all chips have the
// operators:
//            likewise, but that the chips look, and the host takes no part.
enum class ExpertWay { kOwn, kGathered, kRouted, kDispatched };
constexpr int64_t kMostGathered = 8;                 // data indices
ExpertWay expert_way(const ParallelLayout& layout);  // without the operators

// What a step of at most T rows takes. V visits a token: its routed experts, and the shared one
// where that is placed like them.
struct ExchangeSizes {
  ExchangeSizes(const Config& config, const RankShard& shard, int64_t rows);

  int64_t visits = 0;
  int64_t all_rows = 0;  // that come to a rank's experts at most; 0 where one rank has all experts
  int64_t arriving = 0;  // those of them that are passed on; 0 where dp = 1
  int64_t wishes = 0;    // [all_rows, V] of rows that the gate's own choices do not do for
  int64_t stops = 0;     // data indices that a row goes to at most, in routed exchanges; R
  int64_t leaving = 0;   // rows at most, likewise
  int64_t row_counts = 0;  // T + 1 where rows may be dispatched
};

// The operators' arguments but for what is their data, for steps of at most T rows; nullopt where
// the experts of a data index are no range that the gate's numbers do for.
std::optional<ops::MoeExchange> dispatch_shape(const Config& config, const RankShard& shard,
                                               fathom_dtype activation, int64_t rows);

// In the chip's memory, which kernels read and write.
struct ExchangeBuffers {
  Tensor rows;     // [arriving, H]
  int32_t* ids;    // [all_rows, V]: numbers of this rank's experts, or others
  float* weights;  // likewise
  Tensor results;  // [arriving, H]

  // Of dispatched ones.
  int32_t* row_counts;  // [T + 1] 0, 1, ...: a step's number of rows is one of them
  int32_t* came;        // [dp] rows

  // Of routed exchanges.
  int32_t* picks;   // [leaving]: rows of the step, in the order of where they go
  int32_t* places;  // [R, T]: where a row's results are among those that come back, or -1
  Tensor leaving;   // [leaving, H]
  Tensor returned;  // [leaving, H]
  Tensor sum;       // [T, H]
  Tensor picked;    // [T, H]
};

}  // namespace fathom::models::deepseek_v3
