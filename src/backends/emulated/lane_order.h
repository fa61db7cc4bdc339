// In which order threads of a block, and blocks of a grid, take turns. No kernel may depend on it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fathom::emulated {

class LaneOrder {
 public:
  LaneOrder() = default;
  // "rising", "falling", or a seed: a number from 0.
  static Result<LaneOrder> parse(std::string_view text);

  // 0, ..., count - 1 in that order; `salt` gives another one where it is random.
  std::vector<int> of(int count, uint64_t salt) const;
  // The block that comes at place `turn` of `count`.
  int64_t block(int64_t turn, int64_t count) const;

 private:
  enum class Kind { kRising, kFalling, kRandom };
  Kind kind_ = Kind::kRising;
  uint64_t seed_ = 0;
};

}  // namespace fathom::emulated
