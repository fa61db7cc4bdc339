#include "backends/emulated/lane_order.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <random>

namespace fathom::emulated {

Result<LaneOrder> LaneOrder::parse(std::string_view text) {
  LaneOrder order;
  if (text == "rising") return order;
  if (text == "falling") {
    order.kind_ = Kind::kFalling;
    return order;
  }
  order.kind_ = Kind::kRandom;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), order.seed_);
  if (failed == std::errc() && end == text.data() + text.size()) return order;
  return invalid_argument(
      fmt::format("FATHOM_EMULATED_ORDER: expected rising, falling or a number, got {}", text));
}

std::vector<int> LaneOrder::of(int count, uint64_t salt) const {
  std::vector<int> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  if (kind_ == Kind::kFalling) std::reverse(order.begin(), order.end());
  if (kind_ == Kind::kRandom) {
    std::mt19937_64 random(seed_ ^ (salt << 32));
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  }
  return order;
}

int64_t LaneOrder::block(int64_t turn, int64_t count) const {
  if (kind_ == Kind::kRising) return turn;
  if (kind_ == Kind::kFalling) return count - 1 - turn;
  // The even turns upwards, then the odd ones downwards, from a place that the seed says.
  const int64_t even = (count + 1) / 2;
  const int64_t at = turn < even ? turn * 2 : count - 1 - count % 2 - (turn - even) * 2;
  return (at + static_cast<int64_t>(seed_ % 1021)) % count;
}

}  // namespace fathom::emulated
