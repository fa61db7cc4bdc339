#include "serving/rank_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <span>
#include <thread>
#include <vector>

#include "base/log.h"
#include "engine/sip_hash.h"
#include "models/deepseek_v3/choose_layout.h"
#include "models/deepseek_v3/parallel_model.h"
#include "models/deepseek_v3/shard_rules.h"
#include "serving/cache_format.h"
#include "serving/planned_model.h"
#include "serving/version.h"

namespace fathom::serving {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;

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
  const auto hash = engine::sip_hash_128({0, 0}, std::as_bytes(std::span(text)));
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

}  // namespace

Result<comm::Launch> read_launch() {
  return comm::read_launch([](const char* name) { return std::getenv(name); });
}

Status check_parallel(const StackOptions& options, const comm::Launch& launch) {
  if (options.parallel.empty() && launch.size > 1) {
    return invalid_argument(
        fmt::format("--parallel: expected how {} ranks divide the model, or auto, got none",
                    launch.size),
        "--parallel");
  }
  if (options.parallel.empty() || options.parallel == "auto") return {};
  FATHOM_ASSIGN(const auto layout, dsv3::Layout::parse(options.parallel));
  if (options.synthetic.empty()) {
    FATHOM_ASSIGN(const auto model, planned_model(options.model));
    FATHOM_TRY(dsv3::check_cuts(model.config, layout, model.tensors, options.weights));
  }
  auto fits = dsv3::check_ranks(layout, launch.size);
  if (fits || launch.size > 1) return fits;
  return invalid_argument(fmt::format("{} (mpirun -n {} fathom serve ... starts them)",
                                      fits.error().message, layout.ranks()),
                          "--parallel");
}

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

Result<dsv3::ShardPlan> plan_job(const StackOptions& options, const ModelInput& input,
                                 comm::Group& ranks, const models::RunLimits& limits,
                                 int64_t free_memory) {
  FATHOM_ASSIGN(auto tensors, dsv3::planned_tensors(input.config, *input.source));
  if (options.parallel != "auto") {
    FATHOM_ASSIGN(const auto layout, dsv3::Layout::parse(options.parallel));
    return dsv3::ShardPlan::make(input.config, layout, std::move(tensors), options.weights);
  }
  FATHOM_ASSIGN(const int64_t memory, least_of(ranks, "memory", free_memory));
  return dsv3::choose_layout(input.config, tensors, options.weights, ranks.size(), limits,
                             {.memory = memory, .kv_dtype = limits.kv_dtype});
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

// Where it is others who are lost, the watch says so and ends this process.
int follow_rank_0(comm::Group& ranks, dsv3::Model& follower) {
  const auto followed = dsv3::follow(follower, ranks);
  if (followed) return 0;
  log_error("{}", followed.error().message);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  std::_Exit(comm::kExitRankLost);
}

}  // namespace fathom::serving
