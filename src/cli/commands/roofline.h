// The speed that the machine's measured limits allow a model. Prompts are bound by the peak rate of
// products, decoding by the bandwidth at which a step reads its weights and cache.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "device/abi.h"
#include "models/deepseek_v3/cost.h"

namespace fathom::cli {

struct Bound {
  const char* name = "";         // "read", "int8" or "bf16"
  double tokens_per_second = 0;  // of all sequences together; 0: unknown
};

class Roofline {
 public:
  // Without a cost every bound is unknown.
  Roofline(const fathom_limits& limits, std::optional<models::deepseek_v3::CostModel> cost)
      : limits_(limits), cost_(std::move(cost)) {}

  // `batch` prompts of `tokens` behind `depth` others.
  Bound prefill(int64_t tokens, int64_t depth, int64_t batch) const;
  // `batch` sequences, each from `depth` to `depth` + `tokens`.
  Bound decode(int64_t tokens, int64_t depth, int64_t batch) const;

 private:
  fathom_limits limits_;
  std::optional<models::deepseek_v3::CostModel> cost_;
};

}  // namespace fathom::cli
