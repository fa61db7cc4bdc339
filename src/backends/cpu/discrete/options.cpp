#include "backends/cpu/discrete/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace fathom::cpu::discrete {
namespace {

struct NamedPart {
  std::string_view name;
  Part part;
  uint32_t capabilities;
};
constexpr NamedPart kParts[] = {
    {"asynchronous", Part::kAsynchronous, FATHOM_CAP_ASYNCHRONOUS},
    {"graphs", Part::kGraphs, FATHOM_CAP_GRAPHS},
    {"collectives", Part::kCollectives, FATHOM_CAP_COLLECTIVES},
    {"sample", Part::kSample, 0},
    {"take_tokens", Part::kTakeTokens, 0},
    {"moe_exchange", Part::kMoeExchange, 0},
    {"pack", Part::kPack, 0},
};

Status go_without(Options& options, std::string_view name) {
  const auto* found = std::ranges::find(kParts, name, &NamedPart::name);
  if (found == std::end(kParts)) {
    std::vector<std::string_view> names;
    for (const auto& part : kParts) names.push_back(part.name);
    return invalid_argument(
        fmt::format("without: expected one of {}, got {}", fmt::join(names, ", "), name));
  }
  options.without |= static_cast<uint32_t>(found->part);
  return {};
}

Status choose_kv_dtype(Options& options, std::string_view name) {
  if (name != "f32" && name != "bf16") {
    return invalid_argument(fmt::format("kv: expected f32 or bf16, got {}", name));
  }
  options.kv_dtype = name == "f32" ? FATHOM_F32 : FATHOM_BF16;
  return {};
}

template <typename Number>
Status read_number(std::string_view key, std::string_view text, Number low, Number high,
                   Number& number) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = read.ec == std::errc() && read.ptr == text.data() + text.size();
  if (whole && number >= low && number <= high) return {};
  return invalid_argument(
      fmt::format("{}: expected a whole number from {} to {}, got {}", key, low, high, text));
}

Status set(Options& options, std::string_view key, std::string_view value) {
  if (key == "without") return go_without(options, value);
  if (key == "kv") return choose_kv_dtype(options, value);
  if (key == "planes") return read_number(key, value, 1, 2, options.kv_planes);
  if (key == "block") return read_number(key, value, 16, 128, options.kv_block_size);
  if (key == "delay") {
    return read_number(key, value, uint64_t{0}, uint64_t{1000000}, options.most_delay_us);
  }
  if (key == "lose") {
    return read_number(key, value, uint64_t{1}, UINT64_MAX, options.lose_at);
  }
  return invalid_argument(fmt::format(
      "expected without, planes, block, kv, delay or lose, each as KEY=VALUE, got {}", key));
}

}  // namespace

bool Options::has_operator(int32_t op) const {
  switch (op) {
    case FATHOM_OP_SAMPLE:
      return has(Part::kSample);
    case FATHOM_OP_TAKE_TOKENS:
      return has(Part::kTakeTokens);
    case FATHOM_OP_MOE_DISPATCH:
    case FATHOM_OP_MOE_COMBINE:
      return has(Part::kMoeExchange);
    default:
      return true;
  }
}

uint32_t Options::capabilities_of(uint32_t capabilities) const {
  for (const auto& part : kParts) {
    if (!has(part.part)) capabilities &= ~part.capabilities;
  }
  return capabilities;
}

Result<Options> Options::parse(std::string_view text) {
  Options options;
  bool named_set = false;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const size_t equals = word.find('=');
    if (equals != std::string_view::npos) {
      FATHOM_TRY(set(options, word.substr(0, equals), word.substr(equals + 1)));
    } else if (named_set) {
      return invalid_argument(
          fmt::format("expected one kernel set, got {} and {}", options.kernels, word));
    } else {
      options.kernels = word;
      named_set = true;
    }
  }
  return options;
}

}  // namespace fathom::cpu::discrete
