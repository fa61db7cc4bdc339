// What tests of the model divide and count: V3's published configuration, and the embedded model.
#pragma once

#include <filesystem>
#include <string>

#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/sharding/shard.h"

namespace fathom::models::deepseek_v3 {

inline const std::filesystem::path kTiny = std::filesystem::path(FATHOM_MODELS) / "tiny";

inline Config v3_config() {
  return Config::load(FATHOM_TEST_DATA "/deepseek-v3-config.json").value();
}
inline Config tiny_config() {
  return Config::load(kTiny / "config.json").value();
}

inline Result<ShardPlan> try_plan(const Config& config, const std::string& layout,
                                  WeightFormat format = WeightFormat::kAsStored) {
  return ShardPlan::make(config, ParallelLayout::parse(layout).value(),
                         tensor_manifest(config).value(), format);
}
inline ShardPlan plan(const Config& config, const std::string& layout,
                      WeightFormat format = WeightFormat::kAsStored) {
  return try_plan(config, layout, format).value();
}

}  // namespace fathom::models::deepseek_v3
