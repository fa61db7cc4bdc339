#include "models/deepseek_v3/sharding/parallel_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <numeric>
#include <set>

namespace fathom::models::deepseek_v3 {
namespace {

Error refuse(const std::string& what) {
  return invalid_argument("--parallel: " + what, "--parallel");
}

struct Key {
  const char* name;
  int64_t ParallelLayout::*value;
  int64_t low;
};
constexpr Key kKeys[] = {{"pp", &ParallelLayout::pp, 1},
                         {"dp", &ParallelLayout::dp, 1},
                         {"tp", &ParallelLayout::tp, 1},
                         {"ep", &ParallelLayout::ep, 1},
                         {"redundant", &ParallelLayout::redundant, 0},
                         {"shared", &ParallelLayout::shared, 0}};

Status parse_item(std::string_view item, ParallelLayout& layout, std::set<std::string_view>& seen) {
  const auto name = item.substr(0, item.find('='));
  const auto* key = std::ranges::find_if(kKeys, [&](const Key& each) { return name == each.name; });
  if (key == std::end(kKeys) || name.size() == item.size()) {
    return refuse(
        fmt::format("expected pp=, dp=, tp=, ep=, redundant= or shared= with a number, separated "
                    "by commas, or auto; got '{}'",
                    item.substr(0, 40)));
  }
  if (!seen.insert(name).second) return refuse(fmt::format("expected {} once, got it twice", name));
  const auto digits = item.substr(name.size() + 1);
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(digits.begin(), digits.end(), value);
  const bool whole = failed == std::errc() && end == digits.end();
  if (!whole || value < key->low || value > kMaxRanks) {
    return refuse(fmt::format("{}: expected a whole number from {} to {}, got '{}'", name, key->low,
                              kMaxRanks, digits.substr(0, 40)));
  }
  layout.*key->value = value;
  return {};
}

// "288 experts (256 routed + 32 redundant)".
std::string count_experts(const ParallelLayout& layout, const Config& config) {
  std::string text = fmt::format("{} routed", config.n_routed_experts);
  if (layout.redundant > 0) text += fmt::format(" + {} redundant", layout.redundant);
  if (layout.shared > 0) text += fmt::format(" + {} shared", layout.shared);
  return fmt::format("{} experts ({})", config.n_routed_experts + layout.redundant + layout.shared,
                     text);
}

// The experts must spread evenly over ep.
Status check_spread(const ParallelLayout& layout, const Config& config) {
  const int64_t experts = config.n_routed_experts + layout.redundant + layout.shared;
  const int64_t over = experts % layout.ep;
  if (over == 0) return {};
  return refuse(fmt::format(
      "ep={}: expected a divisor of the {}, got {}; {}, or redundant={}", layout.ep,
      count_experts(layout, config), layout.ep,
      nearest_fitting(layout.ep, 1, experts, [&](int64_t ep) { return experts % ep == 0; }),
      layout.redundant + layout.ep - over));
}

Status check_copies(const ParallelLayout& layout, const Config& config) {
  const int64_t most = config.n_routed_experts * (layout.ep - 1);
  if (layout.redundant > most) {
    return refuse(
        fmt::format("redundant={}: expected at most {}, one copy of each of {} experts on each of "
                    "the other groups of ep={}, got {}",
                    layout.redundant, most, config.n_routed_experts, layout.ep, layout.redundant));
  }
  const int64_t most_shared = config.n_shared_experts > 0 ? layout.ep : 0;
  if (layout.shared > most_shared) {
    return refuse(fmt::format("shared={}: expected at most {}, got {}", layout.shared,
                              most_shared > 0 ? fmt::format("ep={}", most_shared)
                                              : "0, as the model has no shared expert",
                              layout.shared));
  }
  return {};
}

Status check_experts(const ParallelLayout& layout, const Config& config, const CutRules& rules) {
  if (!can_hold_experts(layout, layout.ep)) {
    const auto fits = [&](int64_t ep) {
      return can_hold_experts(layout, ep) &&
             (!rules.slices || rules.slices(layout.stage_ranks() / ep));
    };
    return refuse(fmt::format(
        "ep={}: expected dp={} times a divisor of tp={} (the parts of a split expert must see the "
        "same tokens), got {}; {}",
        layout.ep, layout.dp, layout.tp, layout.ep,
        nearest_fitting(layout.ep, layout.dp, layout.stage_ranks(), fits)));
  }
  if (config.n_routed_experts > 0) {
    FATHOM_TRY(check_copies(layout, config));
    return check_spread(layout, config);
  }
  if (layout.redundant == 0 && layout.shared == 0) return {};
  return refuse(
      fmt::format("expected no redundant or shared experts for a model without experts, "
                  "got redundant={} and shared={}",
                  layout.redundant, layout.shared));
}

// Whether the layers fit `stages` stages that hold at most `most` each; and with `out`, where each
// ends. Every later stage keeps at least one layer.
bool cut_layers(std::span<const int64_t> bytes, int64_t first, int64_t last, int64_t stages,
                int64_t most, std::vector<Range>* out) {
  const auto count = static_cast<int64_t>(bytes.size());
  int64_t at = 0;
  for (int64_t stage = 0; stage < stages; ++stage) {
    const bool is_last = stage == stages - 1;
    int64_t held = (stage == 0 ? first : 0) + (is_last ? last : 0);
    const int64_t begin = at;
    const int64_t end = count - (stages - 1 - stage);
    while (at < end && (is_last || at == begin || held + bytes[static_cast<size_t>(at)] <= most)) {
      held += bytes[static_cast<size_t>(at++)];
    }
    if (held > most) return false;
    if (out != nullptr) out->push_back({begin, at});
  }
  return true;
}

}  // namespace

std::string ParallelLayout::text() const {
  std::string out = fmt::format("pp={},dp={},tp={},ep={}", pp, dp, tp, ep);
  if (redundant > 0) out += fmt::format(",redundant={}", redundant);
  if (shared > 0) out += fmt::format(",shared={}", shared);
  return out;
}

Result<ParallelLayout> ParallelLayout::parse(std::string_view text) {
  ParallelLayout layout;
  std::set<std::string_view> seen;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    FATHOM_TRY(parse_item(text.substr(at, end - at), layout, seen));
    at = end + 1;
  }
  if (layout.ranks() > kMaxRanks) {
    return refuse(fmt::format("expected at most {} ranks, got {} x {} x {}", kMaxRanks, layout.pp,
                              layout.dp, layout.tp));
  }
  if (!seen.contains("ep")) layout.ep = layout.stage_ranks();
  return layout;
}

bool can_hold_experts(const ParallelLayout& layout, int64_t ep) {
  return ep % layout.dp == 0 && layout.tp % (ep / layout.dp) == 0;
}

Status check_layout(const ParallelLayout& layout, const Config& config, const CutRules& rules) {
  if (layout.pp > config.num_hidden_layers) {
    return refuse(fmt::format("pp={}: expected at most the model's {} layers, got {}", layout.pp,
                              config.num_hidden_layers, layout.pp));
  }
  const int64_t heads = config.num_attention_heads;
  if (heads % layout.tp != 0) {
    return refuse(fmt::format(
        "tp={}: expected a divisor of the model's {} attention heads, got {}; {}", layout.tp, heads,
        layout.tp, nearest_fitting(layout.tp, 1, heads, [&](int64_t tp) {
          return heads % tp == 0 && (!rules.tp || rules.tp(tp));
        })));
  }
  return check_experts(layout, config, rules);
}

Status check_ranks(const ParallelLayout& layout, int64_t ranks) {
  if (layout.ranks() == ranks) return {};
  const int64_t of_one = layout.pp * layout.tp;
  const std::string way =
      ranks % of_one == 0
          ? fmt::format("dp={} makes it {}", ranks / of_one, ranks)
          : "for these pp and tp " + nearest_fitting(ranks, of_one, kMaxRanks,
                                                     [&](int64_t n) { return n % of_one == 0; });
  return refuse(fmt::format("expected {} ranks (pp={} x dp={} x tp={}), got {}; {}", layout.ranks(),
                            layout.pp, layout.dp, layout.tp, ranks, way));
}

std::string nearest_fitting(int64_t value, int64_t low, int64_t high,
                            const std::function<bool(int64_t)>& fits) {
  int64_t below = std::min(value - 1, high);
  while (below >= low && !fits(below)) --below;
  int64_t above = std::max(value + 1, low);
  while (above <= high && !fits(above)) ++above;
  const bool has_below = below >= low;
  const bool has_above = above <= high;
  if (has_below && has_above) return fmt::format("the nearest are {} and {}", below, above);
  if (!has_below && !has_above) return "none fits";
  return fmt::format("the nearest is {}", has_below ? below : above);
}

RankPlace place_of(const ParallelLayout& layout, int64_t rank) {
  FATHOM_CHECK(rank >= 0 && rank < layout.ranks(), "place_of: no such rank");
  const int64_t in_stage = rank % layout.stage_ranks();
  return {.stage = rank / layout.stage_ranks(),
          .data = in_stage / layout.tp,
          .tensor = in_stage % layout.tp,
          .expert = in_stage / layout.slices(),
          .slice = in_stage % layout.slices()};
}

namespace {

std::vector<int64_t> every(int64_t first, int64_t stride, int64_t count) {
  std::vector<int64_t> ranks;
  for (int64_t i = 0; i < count; ++i) ranks.push_back(first + i * stride);
  return ranks;
}

}  // namespace

std::vector<int64_t> tensor_group(const ParallelLayout& layout, int64_t rank) {
  return every(rank - rank % layout.tp, 1, layout.tp);
}

std::vector<int64_t> data_group(const ParallelLayout& layout, int64_t rank) {
  const auto place = place_of(layout, rank);
  return every(place.stage * layout.stage_ranks() + place.tensor, layout.tp, layout.dp);
}

std::vector<int64_t> expert_group(const ParallelLayout& layout, int64_t rank) {
  const auto place = place_of(layout, rank);
  return every(place.stage * layout.stage_ranks() + place.slice, layout.slices(), layout.ep);
}

std::vector<int64_t> stage_group(const ParallelLayout& layout, int64_t rank) {
  return every(rank - rank % layout.stage_ranks(), 1, layout.stage_ranks());
}

std::vector<int64_t> pipeline_group(const ParallelLayout& layout, int64_t rank) {
  return every(rank % layout.stage_ranks(), layout.stage_ranks(), layout.pp);
}

Range part_of(int64_t size, int64_t index, int64_t count) {
  const int64_t each = size / count;
  const int64_t longer = size % count;
  const int64_t begin = index * each + std::min(index, longer);
  return {begin, begin + each + (index < longer ? 1 : 0)};
}

Range heads_of(const ParallelLayout& layout, const Config& config, int64_t tensor) {
  return part_of(config.num_attention_heads, tensor, layout.tp);
}

std::vector<Range> balance_layers(std::span<const int64_t> bytes, int64_t first, int64_t last,
                                  int64_t pp) {
  FATHOM_CHECK(pp >= 1 && pp <= static_cast<int64_t>(bytes.size()), "a stage has a layer");
  int64_t low = 0;  // too little, or just enough
  int64_t high = std::accumulate(bytes.begin(), bytes.end(), first + last);
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (cut_layers(bytes, first, last, pp, middle, nullptr)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  std::vector<Range> stages;
  FATHOM_CHECK(cut_layers(bytes, first, last, pp, high, &stages), "all layers in one stage fit");
  return stages;
}

std::vector<std::vector<int64_t>> place_experts(const ParallelLayout& layout,
                                                const Config& config) {
  const int64_t experts = config.n_routed_experts;
  if (experts == 0) return std::vector<std::vector<int64_t>>(static_cast<size_t>(layout.ep));
  const int64_t places = (experts + layout.redundant + layout.shared) / layout.ep;
  std::deque<int64_t> waiting;  // least often copied first, beginning half-way round
  for (int64_t i = 0; i < experts; ++i) waiting.push_back((i + experts / 2) % experts);

  std::vector<std::vector<int64_t>> placed;
  for (int64_t index = 0; index < layout.ep; ++index) {
    const Range own = part_of(experts, index, layout.ep);
    std::vector<int64_t> here(static_cast<size_t>(own.size()));
    std::iota(here.begin(), here.end(), own.begin);
    const bool holds_shared = index >= layout.ep - layout.shared;
    while (static_cast<int64_t>(here.size()) < places - (holds_shared ? 1 : 0)) {
      const auto next = std::ranges::find_if(
          waiting, [&](int64_t expert) { return std::ranges::find(here, expert) == here.end(); });
      FATHOM_CHECK(next != waiting.end(), "check_layout() bounds the copies");
      here.push_back(*next);
      waiting.erase(next);
      waiting.push_back(here.back());
    }
    if (holds_shared) here.push_back(kSharedExpert);
    placed.push_back(std::move(here));
  }
  return placed;
}

}  // namespace fathom::models::deepseek_v3
