// A planned layout as a table or as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/deepseek_v3/sharding/footprint.h"
#include "models/deepseek_v3/sharding/traffic.h"

namespace fathom::cli {

struct LayoutReport {
  std::string model;
  models::deepseek_v3::ShardPlan plan;
  models::WeightFormat weights = models::WeightFormat::kAsStored;
  models::deepseek_v3::RankMemory memory;
  bool drafts = false;                                     // by the MTP layer
  int64_t step_tokens = 0;                                 // the largest step's, of one data index
  std::vector<models::deepseek_v3::Footprint> footprints;  // of each rank
  int64_t least_memory = 0;
};

// Ranks that hold and send equally much.
struct RankGroup {
  std::vector<models::deepseek_v3::Range> ranks;
  int64_t count = 0;
  int64_t stage = 0;
  int64_t routed = 0;   // experts a layer
  bool shared = false;  // and a copy of the shared one
  models::deepseek_v3::Footprint footprint;
  models::deepseek_v3::Traffic sent;  // a token of their data index
};
// In the order of their first rank.
std::vector<RankGroup> group_ranks(const LayoutReport& report);

// "64.0 GB" (10^9 bytes), "9.95 MB"; "1,234,567".
std::string bytes_text(double bytes);
std::string grouped(int64_t number);
// "0-7, 16-23"; from the third range on "...".
std::string range_list(const std::vector<models::deepseek_v3::Range>& ranges);

// A line for each group, and totals.
std::string to_text(const LayoutReport& report);
std::string to_json(const LayoutReport& report);
// The tensors of one rank.
std::string rank_text(const LayoutReport& report, int64_t rank);
std::string rank_json(const LayoutReport& report, int64_t rank);

}  // namespace fathom::cli
