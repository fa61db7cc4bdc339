#include "serving/cache_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "models/deepseek_v3/forward/memory_plan.h"

namespace fathom::serving {
namespace {

constexpr int32_t kUsualKvBlock = 32;  // tokens: few enough to waste little, enough to scan

}  // namespace

Result<int32_t> choose_kv_block_size(int64_t wanted, std::span<const int32_t> offers,
                                     const std::string& chip) {
  if (wanted == 0) return offers.empty() ? kUsualKvBlock : offers.front();
  if (!offers.empty() && std::ranges::find(offers, wanted) == offers.end()) {
    return invalid_argument(fmt::format("--kv-block-size: expected {}, which chip {} takes, got {}",
                                        fmt::join(offers, " or "), chip, wanted),
                            "--kv-block-size");
  }
  if (wanted < device::kLeastKvBlock || wanted > device::kMostKvBlock) {
    return invalid_argument(fmt::format("--kv-block-size: expected {} to {} tokens, got {}",
                                        device::kLeastKvBlock, device::kMostKvBlock, wanted),
                            "--kv-block-size");
  }
  return static_cast<int32_t>(wanted);
}

Result<fathom_dtype> choose_kv_dtype(const StackOptions& options,
                                     const models::TensorSource& source,
                                     const models::deepseek_v3::Config& config,
                                     const device::Device& device) {
  switch (options.kv_cache) {
    case KvCacheFormat::kF32:
      return FATHOM_F32;
    case KvCacheFormat::kBf16:
      return FATHOM_BF16;
    case KvCacheFormat::kAuto:
      break;
  }
  return models::deepseek_v3::choose_kv_dtype(source, config, options.weights, device.kv_dtype());
}

std::string cache_format_text(const models::RunLimits& limits, const device::Device& device) {
  return fmt::format("{}, blocks of {}{}", device::dtype_name(limits.kv_dtype),
                     limits.kv_block_size, device.kv_planes() == 2 ? " in two planes" : "");
}

std::string cache_identity(const StackOptions& options, const device::Device& device) {
  return fmt::format("{}/{}/{}/[{}]", static_cast<int>(options.kv_cache),
                     device::dtype_name(device.kv_dtype()), options.kv_block_size,
                     fmt::join(device.kv_block_sizes(), " "));
}

}  // namespace fathom::serving
