#include "models/deepseek_v3/step/step_graphs.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <utility>

#include "base/log.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr int64_t kRowsApart = 32;

int64_t most_decode_rows(const RunLimits& limits) {
  return std::min({limits.max_step_sequences, limits.max_step_tokens, limits.max_logit_rows});
}

// At most most_decode_rows().
// Of a recorded operator: its arguments, and what a driver keeps beside them.
constexpr int64_t kOperatorBytes = 2048;
constexpr int64_t kOperatorsALayer = 20;

int64_t rounded_rows(int64_t rows, const RunLimits& limits) {
  const int64_t apart = std::min<int64_t>(kRowsApart, limits.kv_block_size);
  const int64_t rounded = rows <= apart
                              ? static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)))
                              : (rows + apart - 1) / apart * apart;
  return std::min(rounded, most_decode_rows(limits));
}

StepBucket bucket_of(int64_t rows, int64_t positions) {
  return {.rows = rows, .logit_rows = rows, .sequences = rows, .positions = positions};
}

}  // namespace

std::vector<StepBucket> decode_buckets(const RunLimits& limits) {
  std::vector<StepBucket> buckets;
  const int64_t most = most_decode_rows(limits);
  for (int64_t row = 1; row <= most;) {
    const int64_t rows = rounded_rows(row, limits);
    for (int64_t position = 1; position <= limits.max_context;) {
      const int64_t positions = StepBucket::rounded_positions(position, limits);
      buckets.push_back(bucket_of(rows, positions));
      position = positions + 1;
    }
    row = rows + 1;
  }
  return buckets;
}

int64_t graph_bytes(const RunLimits& limits, int64_t layers) {
  return static_cast<int64_t>(decode_buckets(limits).size()) * layers * kOperatorsALayer *
         kOperatorBytes;
}

std::optional<StepBucket> decode_bucket_of(const StepBatch& batch, const RunLimits& limits) {
  const auto rows = static_cast<int64_t>(batch.tokens.size());
  const bool decodes = batch.given.empty() && batch.generated.size() == batch.tokens.size() &&
                       batch.logit_rows.size() == batch.tokens.size();
  if (!decodes || rows == 0 || rows > most_decode_rows(limits)) return std::nullopt;
  int64_t positions = 0;
  for (const SequenceRows& each : batch.generated) {
    positions = std::max(positions, each.context + each.query_count);
  }
  return bucket_of(rounded_rows(rows, limits), StepBucket::rounded_positions(positions, limits));
}

Result<StepGraphs> StepGraphs::record(device::Device& device, const RunLimits& limits,
                                      const std::function<Status(const StepBucket&)>& queue) {
  StepGraphs graphs;
  graphs.limits_ = limits;
  const auto begin = std::chrono::steady_clock::now();
  const auto buckets = decode_buckets(limits);
  for (const StepBucket& bucket : buckets) {
    auto graph = device.record_graph([&] { return queue(bucket); });
    if (!graph && graph.error().code != ErrorCode::kResourceExhausted) return graph.error();
    if (!graph) {
      log_warning("graphs of decode steps: {}; other steps are queued operator by operator",
                  graph.error().message);
      break;
    }
    graphs.steps_.push_back({bucket, std::move(*graph)});
  }
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  log_info("chip {}: {} of {} graphs of decode steps recorded in {:.1f} s", device.backend().name,
           graphs.steps_.size(), buckets.size(), spent.count());
  return graphs;
}

const RecordedStep* StepGraphs::find(const StepBatch& batch) const {
  if (steps_.empty()) return nullptr;
  const auto bucket = decode_bucket_of(batch, limits_);
  if (!bucket) return nullptr;
  const auto found = std::ranges::find(steps_, *bucket, &RecordedStep::bucket);
  return found == steps_.end() ? nullptr : &*found;
}

}  // namespace fathom::models::deepseek_v3
