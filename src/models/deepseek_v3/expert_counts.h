// How many of a rank's tokens chose each routed expert, by layer, since the last reset.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fathom::models::deepseek_v3 {

class ExpertCounts {
 public:
  ExpertCounts(int64_t layers, int64_t experts)
      : layers_(static_cast<size_t>(layers),
                std::vector<float>(static_cast<size_t>(experts), 0.0f)) {}

  void count(int64_t layer, std::span<const int32_t> expert_ids) {
    std::vector<float>& tokens = of(layer);
    for (const int32_t id : expert_ids) {
      // A simulated chip chooses no experts: its numbers may be any.
      if (static_cast<size_t>(id) < tokens.size()) ++tokens[static_cast<size_t>(id)];
    }
  }
  // [experts], F32 for sums over ranks; whole up to 2^24.
  std::vector<float>& of(int64_t layer) { return layers_[static_cast<size_t>(layer)]; }

 private:
  std::vector<std::vector<float>> layers_;
};

}  // namespace fathom::models::deepseek_v3
