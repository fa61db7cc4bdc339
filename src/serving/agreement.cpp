#include "serving/agreement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <fstream>
#include <span>
#include <vector>

#include "base/sip_hash.h"
#include "serving/cache_format.h"
#include "serving/version.h"

namespace fathom::serving {

namespace fs = std::filesystem;

namespace {

// Loading 700 GB from a disk takes hours; a rank that dies meanwhile is seen by the watch.
constexpr std::chrono::hours kLoading(24);
constexpr size_t kSampleBytes = 4096;
constexpr int64_t kSamples = 16;  // of a file

// Size, beginning and some pages of a file: weights of 700 GB are not read for a comparison. Other
// training gives other numbers everywhere.
void add_file(const fs::path& path, std::string& text) {
  std::error_code ignored;
  const auto size = static_cast<int64_t>(fs::file_size(path, ignored));
  text += fmt::format("{} {}\n", path.filename().string(), size);
  std::ifstream file(path, std::ios::binary);
  std::array<char, kSampleBytes> sample = {};
  for (int64_t i = 0; i < kSamples && file; ++i) {
    file.seekg(size / kSamples * i);
    file.read(sample.data(), sample.size());
    text.append(sample.data(), static_cast<size_t>(file.gcount()));
  }
}

std::string model_text(const StackOptions& options, const ModelInput& input) {
  std::string text = input.config_json.dump();
  if (!options.synthetic.empty()) return text;
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(options.model, ignored)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const fs::path& path : files) add_file(path, text);
  return text;
}

std::string hash_of(const std::string& text) {
  const auto hash = sip_hash_128({0, 0}, std::as_bytes(std::span(text)));
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

}  // namespace

std::string model_hash(const StackOptions& options, const ModelInput& input) {
  return hash_of(model_text(options, input));
}

comm::Identity identity_of(const StackOptions& options, const ModelInput& input,
                           const device::Device& device) {
  const auto config =
      fmt::format("parallel={} weights={} kv={}/{} context={} running={} chunk={} speculate={}",
                  options.parallel, models::to_string(options.weights),
                  cache_identity(options, device), options.kv_memory_mib, options.max_context,
                  options.max_running, options.prefill_chunk, options.speculate);
  return {.chip = fmt::format("{}: {}", device.backend().name, device.info().name).substr(0, 200),
          .version = kVersion,
          .model_hash = model_hash(options, input),
          .config_hash = config};
}

Result<int64_t> least_of(comm::Group& ranks, std::string_view name, int64_t value) {
  const auto count = static_cast<size_t>(ranks.size());
  std::vector<int64_t> all(count);
  FATHOM_TRY(ranks.all_gather({-1, name, {}}, &value, all.data(),
                              std::vector<size_t>(count, sizeof(value))));
  return *std::ranges::min_element(all);
}

Status agree(comm::Group& ranks, std::string_view name, const Status& own) {
  using Text = std::array<char, 512>;
  const auto count = static_cast<size_t>(ranks.size());
  Text text = {};
  if (!own) own.error().message.copy(text.data(), text.size() - 1);
  std::vector<Text> all(count);
  FATHOM_TRY(ranks.all_gather({-1, name, kLoading}, text.data(), all.data(),
                              std::vector<size_t>(count, sizeof(Text))));
  if (!own) return own;
  for (size_t rank = 0; rank < count; ++rank) {
    if (all[rank][0] == 0) continue;
    all[rank].back() = 0;
    return Error{ErrorCode::kUnavailable, fmt::format("rank {}: {}", rank, all[rank].data())};
  }
  return {};
}

}  // namespace fathom::serving
