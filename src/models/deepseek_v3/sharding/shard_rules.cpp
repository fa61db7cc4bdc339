#include "models/deepseek_v3/sharding/shard_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

namespace fathom::models::deepseek_v3 {
namespace {

Cut cut_of(std::string_view name) {
  for (const char* end :
       {".embed_tokens.weight", "lm_head.weight", ".head.weight", ".q_proj.weight",
        ".q_b_proj.weight", ".kv_b_proj.weight", ".gate_proj.weight", ".up_proj.weight"}) {
    if (name.ends_with(end)) return Cut::kRows;
  }
  const bool sums_over_ranks =
      name.ends_with(".o_proj.weight") || name.ends_with(".down_proj.weight");
  return sums_over_ranks ? Cut::kColumns : Cut::kWhole;
}

// The number behind `prefix` in `name`, or `otherwise`.
int64_t number_after(std::string_view name, std::string_view prefix, int64_t otherwise) {
  const size_t at = name.find(prefix);
  if (at == std::string_view::npos) return otherwise;
  const char* begin = name.data() + at + prefix.size();
  int64_t number = otherwise;
  std::from_chars(begin, name.data() + name.size(), number);
  return number;
}

// What a cut demands of the number of parts.
struct Demand {
  std::string tensor;
  Cut cut = Cut::kRows;
  bool over_slices = false;
  int64_t extent = 0;  // rows or columns
  int64_t block = 1;   // of them that share a scale
  bool equal = true;   // parts must be

  bool allows(int64_t parts) const {
    if (parts == 1) return true;
    const bool divides = extent % parts == 0;
    if (!equal && block == 1) return parts <= extent;
    return divides && extent / parts % block == 0;
  }
};

// The demands of all tensors, each kind once, in the name of the first that has it.
std::vector<Demand> demands_of(const Config& config, const ParallelLayout& layout,
                               const std::vector<ManifestEntry>& tensors, WeightFormat format) {
  std::map<std::tuple<bool, int64_t, int64_t, bool>, Demand> kinds;
  for (const auto& tensor : tensors) {
    const Division division = divide(config, layout, tensor.spec);
    if (division.cut == Cut::kWhole) continue;
    Demand demand;
    demand.cut = division.cut;
    demand.over_slices = division.over_slices;
    const bool rows = division.cut == Cut::kRows;
    demand.extent = rows ? tensor.spec.n : tensor.spec.k;
    if (same_format(loaded_part(tensor, format, tensor.spec.n, tensor.spec.k), tensor.stored)) {
      demand.block = std::max(rows ? tensor.stored.block_n : tensor.stored.block_k, 1);
    }
    demand.equal = tensor.spec.use != WeightUse::kEmbedding && tensor.spec.use != WeightUse::kHead;
    const auto [kind, is_new] = kinds.try_emplace(
        {demand.over_slices, demand.extent, demand.block, demand.equal}, std::move(demand));
    if (is_new) kind->second.tensor = tensor.spec.name;
  }
  std::vector<Demand> demands;
  for (auto& [kind, demand] : kinds) demands.push_back(std::move(demand));
  return demands;
}

bool all_allow(const std::vector<Demand>& demands, bool over_slices, int64_t parts) {
  return std::ranges::all_of(demands, [&](const Demand& demand) {
    return demand.over_slices != over_slices || demand.allows(parts);
  });
}

// "expected its 18432 rows cut between blocks of 128 ..., got parts of 576 rows".
std::string what_is_wrong(const Demand& demand, int64_t parts) {
  const char* unit = demand.cut == Cut::kRows ? "rows" : "columns";
  if (demand.extent % parts != 0) {
    return fmt::format("expected a divisor of the {} {} of {}, got {} parts", demand.extent, unit,
                       demand.tensor, parts);
  }
  return fmt::format(
      "expected the {} {} of {} cut between blocks of {} that share a scale, got parts of {}",
      demand.extent, unit, demand.tensor, demand.block, demand.extent / parts);
}

Error refuse(const Demand& demand, const Config& config, const ParallelLayout& layout,
             const CutRules& rules) {
  const int64_t parts = demand.over_slices ? layout.slices() : layout.tp;
  const auto fits_tp = [&](int64_t tp) {
    return config.num_attention_heads % tp == 0 && rules.tp(tp);
  };
  const auto fits_ep = [&](int64_t ep) {
    return can_hold_experts(layout, ep) && rules.slices(layout.stage_ranks() / ep);
  };
  const std::string number =
      demand.over_slices ? fmt::format("ep={}", layout.ep) : fmt::format("tp={}", layout.tp);
  const std::string better =
      demand.over_slices ? nearest_fitting(layout.ep, layout.dp, layout.stage_ranks(), fits_ep)
                         : nearest_fitting(layout.tp, 1, config.num_attention_heads, fits_tp);
  const bool for_blocks = demand.extent % parts == 0;
  return invalid_argument(
      fmt::format("--parallel: {}: {}; {}{}", number, what_is_wrong(demand, parts), better,
                  for_blocks ? ", or another format by --weights" : ""),
      "--parallel");
}

}  // namespace

Division divide(const Config& config, const ParallelLayout& layout, const TensorSpec& spec) {
  const std::string_view name = spec.name;
  Division division;
  division.cut = spec.is_vector() ? Cut::kWhole : cut_of(name);
  const bool embedding = name == "model.embed_tokens.weight";
  division.layer =
      number_after(name, "model.layers.", embedding ? kBeforeLayers : config.num_hidden_layers);
  division.expert = number_after(name, ".experts.", kNoExpert);
  if (layout.shared > 0 && name.find(".shared_experts.") != std::string_view::npos) {
    division.expert = kSharedExpert;
  }
  division.over_slices = division.expert != kNoExpert;
  return division;
}

Weight loaded_part(const ManifestEntry& tensor, WeightFormat format, int64_t n, int64_t k) {
  if (tensor.spec.is_vector()) return weight_in_rows(FATHOM_F32, n, k);
  Weight stored = tensor.stored;
  stored.n = n;
  stored.k = k;
  return choose_format(format, tensor.spec.use, stored);
}

Status check_cuts(const Config& config, const ParallelLayout& layout,
                  const std::vector<ManifestEntry>& tensors, WeightFormat format) {
  const auto demands = demands_of(config, layout, tensors, format);
  const CutRules rules = {.tp = [&](int64_t parts) { return all_allow(demands, false, parts); },
                          .slices = [&](int64_t parts) { return all_allow(demands, true, parts); }};
  FATHOM_TRY(check_layout(layout, config, rules));
  for (const Demand& demand : demands) {
    const int64_t parts = demand.over_slices ? layout.slices() : layout.tp;
    if (!demand.allows(parts)) return refuse(demand, config, layout, rules);
  }
  return {};
}

}  // namespace fathom::models::deepseek_v3
