// How a step's tokens and their experts meet where experts are on several ranks. A rank runs its
// experts on the tokens of all data indices; where those are several, the ranks of one tensor index
// pass rows to each other: out to the experts (dispatch), and their results back (combine;
// DeepSeek-V3 paper, section 3.2). What comes back is each rank's part of a token's sum; they are
// added up in the order of data indices. Sums over slices and over the ranks of a data index are
// sum_rows()'s, behind the layer. exchange_buffers.h has the ways that rows take.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/forward/exchange_buffers.h"
#include "models/deepseek_v3/forward/routed_experts.h"
#include "models/deepseek_v3/ranks/ranks.h"
#include "models/deepseek_v3/sharding/rank_shard.h"
#include "models/expert_loads.h"
#include "ops/ops.h"

namespace fathom::models::deepseek_v3 {

struct MoeWeights;
struct Step;

class ExpertExchange {
 public:
  // For steps of at most `rows` rows. `layers`: number of layers, whose experts are where `shard`
  // says at first. `chips`: of the ranks of this tensor index, where all of them can_dispatch();
  // else null.
  static Result<ExpertExchange> make(device::Device& device, const Config& config,
                                     const RankShard& shard, const ExchangeBuffers& buffers,
                                     int64_t rows, int64_t layers, fathom_comm* chips);
  // Whether the layout and the chip let rows be dispatched by operators.
  static bool can_dispatch(const device::Device& device, const Config& config,
                           const RankShard& shard, int64_t rows);

  // Where a layer's experts are from now on, on all ranks alike.
  using Placement = std::vector<std::vector<int64_t>>;  // place_experts()
  const Placement& placement(int64_t layer) const { return at(layer).placement; }
  void place(int64_t layer, Placement placement);

  // In words, for the log.
  const char* way() const;
  ExpertExchanges exchanges() const;

  // Of a step that begins: this rank's rows, and those that go on in its last block. Every rank
  // with this tensor index calls it, and run() of each layer.
  Status begin_step(const Ranks& ranks, int64_t rows, int64_t rows_of_last_block);
  void begin_last_block() { in_last_block_ = true; }

  // step.at.x [T, H] (+)= the chosen experts' outputs, as far as ranks of this tensor index have
  // these experts.
  Status run(Step& step, const MoeWeights& weights, ops::Accumulate accumulate);

 private:
  struct Layer {
    Placement placement;
    ExpertHolders holders;
  };
  // By data index.
  struct Rows {
    int64_t all = 0;
    int64_t of_last_block = 0;
  };

  ExpertExchange(const Config& config, const RankShard& shard, const ExchangeBuffers& buffers,
                 int64_t layers);

  Status dispatch_by(fathom_comm* chips, device::Device& device, const Config& config,
                     const RankShard& shard, int64_t rows);
  const Layer& at(int64_t layer) const { return layers_[static_cast<size_t>(layer)]; }
  ops::MoeExperts own_experts(const Step& step, const MoeWeights& weights) const;
  Status run_gathered(Step& step, const ops::MoeExperts& experts, ops::Accumulate accumulate);
  Status run_dispatched(Step& step, const ops::MoeExperts& experts, ops::Accumulate accumulate);
  int64_t rows_of(size_t data) const;
  // Bytes of all data indices' rows, `of_row` each.
  std::span<const size_t> bytes_of_rows(size_t of_row);

  ExpertWay way_;
  uint64_t runs_ = 0;
  int64_t top_k_;
  int64_t shared_;  // number of the shared expert: behind the routed ones
  int64_t hidden_;
  int64_t groups_;  // ranks of a data index with the same slice
  int64_t index_;   // this rank's expert index
  size_t data_;     // its data index
  ExchangeBuffers buffers_;
  std::optional<RoutedExperts> routed_;
  ops::MoeExchange dispatched_;
  std::vector<Layer> layers_;
  // Of gathered exchanges.
  std::vector<Rows> rows_;
  bool in_last_block_ = false;
  std::vector<size_t> told_bytes_, bytes_;
  std::vector<int64_t> elements_;
};

}  // namespace fathom::models::deepseek_v3
