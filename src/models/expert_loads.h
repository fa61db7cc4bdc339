// How a model's work is spread over its experts, for metrics.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace fathom::models {

struct LayerLoads {
  int64_t layer = 0;           // of the checkpoint
  std::vector<double> tokens;  // that chose each routed expert, since the start
  // Tokens of the rank with most over the mean of the ranks, in the last interval; 1: even.
  double rank_imbalance = 1;

  // Tokens of the busiest expert over the mean of the experts, since the start; 1: even.
  double expert_imbalance() const {
    double most = 0;
    double sum = 0;
    for (const double each : tokens) {
      most = each > most ? each : most;
      sum += each;
    }
    return sum > 0 ? most * static_cast<double>(tokens.size()) / sum : 1;
  }
};

// One for each layer with experts, in their order.
using ExpertLoads = std::vector<LayerLoads>;

// How rows and experts of several ranks met: once a layer and part of a step that a rank runs.
struct ExpertExchanges {
  std::string_view way;  // "own", "gather", "all_to_all", "operator"; empty: there were none
  uint64_t count = 0;    // since the start, on rank 0
};

}  // namespace fathom::models
