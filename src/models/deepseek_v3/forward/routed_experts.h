// Rows that the host finds the way for: it reads what the gate chose, says which rows go to which
// data index, and tells those how many come and whom they want. The rows themselves go from chip to
// chip.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/forward/exchange_buffers.h"
#include "models/deepseek_v3/sharding/rank_shard.h"
#include "models/deepseek_v3/step/staging.h"
#include "ops/ops.h"

namespace fathom::models::deepseek_v3 {

struct Step;

// Where an expert is.
struct ExpertHolder {
  int64_t index = 0;   // expert index
  int32_t number = 0;  // among that rank's experts
};
// Of each expert of a layer, those that a rank's rows go to: each in turn.
using ExpertHolders = std::vector<std::vector<ExpertHolder>>;

class RoutedExperts {
 public:
  // For steps of at most `rows` rows.
  static Result<RoutedExperts> make(device::Device& device, const Config& config,
                                    const RankShard& shard, const ExchangeBuffers& buffers,
                                    int64_t rows);

  // As ExpertExchange::run(), with the layer's experts where `holders` says.
  Status run(Step& step, const ExpertHolders& holders, const ops::MoeExperts& experts,
             ops::Accumulate accumulate);

 private:
  // A row's wish for an expert that a rank of this tensor index has.
  struct Visit {
    int64_t data = 0;  // where
    int64_t row = 0;
    int64_t choice = 0;
    int32_t number = 0;
    float weight = 0;
  };
  // The host's side of what the chip reads and writes.
  struct HostSide {
    Staging chosen_ids, chosen_weights;  // [T, top_k]
    Staging ids, weights;                // [all_rows, V]
    Staging picks, places;
  };

  RoutedExperts(const Config& config, const RankShard& shard, const ExchangeBuffers& buffers,
                HostSide host);

  Status fetch_choices(Step& step);
  void find_visits(const Step& step, const ExpertHolders& holders);
  void visit(const ExpertHolders& holders, const Visit& wish, int64_t expert);
  // One data index.
  Status run_here(Step& step, const ops::MoeExperts& experts, ops::Accumulate accumulate);
  // Several.
  int64_t lay_out(int64_t rows);
  void count_rows();
  void place_visit(const Visit& visit);
  void place_results(int64_t row, int64_t rows);
  Status exchange_wishes(Step& step);
  Status send_rows(Step& step, int64_t leaving);
  Status run_arrived(Step& step, const ops::MoeExperts& experts);
  Status add_returned(Step& step, int64_t leaving, ops::Accumulate accumulate);
  Status pass_rows(Step& step, const char* name, const Tensor& from,
                   const std::vector<int64_t>& from_rows, const Tensor& to,
                   const std::vector<int64_t>& to_rows);

  int64_t top_k_;
  int64_t visits_;
  int64_t shared_;  // number of the shared expert: behind the routed ones
  int64_t groups_;  // ranks of a data index with the same slice
  int64_t group_;   // this one's place among them
  ExchangeBuffers buffers_;
  HostSide host_;
  std::vector<Visit> found_;  // in the order of rows and choices
  // Of rows that leave, in the order of where they go: [leaving, V].
  std::vector<int32_t> leaving_ids_;
  std::vector<float> leaving_weights_;
  // By data index.
  std::vector<int64_t> to_, from_;  // rows
  std::vector<int64_t> next_;       // place of the next row
  std::vector<int64_t> last_row_;   // that goes there
  std::vector<int64_t> written_;    // visits of that row
  int64_t stops_ = 1;               // of the row that goes to most of them, 1 at least
  std::vector<size_t> count_bytes_, to_bytes_, from_bytes_;
};

}  // namespace fathom::models::deepseek_v3
