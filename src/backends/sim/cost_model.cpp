#include "backends/sim/cost_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fathom::sim {
namespace {

struct Setting {
  std::string_view name;
  double CostModel::*value;
  double unit;  // of one, in the model's own
  double low;
  double high;
};
constexpr Setting kSettings[] = {
    {"read", &CostModel::read_bytes_per_s, 1e9, 0, 1e9},
    {"flops", &CostModel::flops_per_s, 1e12, 0, 1e9},
    {"launch", &CostModel::launch_s, 1e-6, 0, 1e9},
    {"memory", &CostModel::memory_bytes, 1 << 30, 1, 1 << 20},
    {"drafts", &CostModel::right_drafts, 1, 0, 1},
};

Status set(CostModel& model, std::string_view name, std::string_view value) {
  if (name == "clock") {
    if (value != "wall" && value != "virtual") {
      return invalid_argument(fmt::format("clock: expected wall or virtual, got {}", value));
    }
    model.wall_clock = value == "wall";
    return {};
  }
  const auto* setting = std::ranges::find(kSettings, name, &Setting::name);
  if (setting == std::end(kSettings)) {
    return invalid_argument(fmt::format(
        "expected read, flops, launch, memory, drafts or clock, each as KEY=VALUE, got {}", name));
  }
  double number = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool whole = read.ec == std::errc() && read.ptr == value.data() + value.size();
  if (!whole || !(number >= setting->low && number <= setting->high)) {
    return invalid_argument(fmt::format("{}: expected a number from {:g} to {:g}, got {}", name,
                                        setting->low, setting->high, value));
  }
  model.*setting->value = number * setting->unit;
  return {};
}

}  // namespace

double CostModel::seconds(const Work& work) const {
  const double reading = read_bytes_per_s > 0 ? work.bytes / read_bytes_per_s : 0;
  const double computing = flops_per_s > 0 ? work.flops / flops_per_s : 0;
  return launch_s + std::max(reading, computing);
}

Result<CostModel> CostModel::parse(std::string_view text) {
  CostModel model;
  if (text == "free") return model;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const size_t equals = std::min(part.find('='), part.size());
    FATHOM_TRY(set(model, part.substr(0, equals), part.substr(std::min(equals + 1, part.size()))));
  }
  return model;
}

}  // namespace fathom::sim
