// What /metrics shows, in Prometheus' text format. Names are vLLM's with the prefix fathom_.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/http/request_record.h"
#include "engine/stats.h"

namespace fathom::api {

struct MetricsOptions {
  std::string model;
  std::string version = {};
  // A counter for every expert of every layer, 14,848 of V3, in place of none.
  bool each_expert = false;
  int64_t max_waiting = 0;  // of an owner
  int64_t max_context = 0;  // tokens
};

// Times of one generation, in seconds; what did not happen is left out.
struct GenerationTimes {
  std::optional<double> queue;    // submitted to admitted
  std::optional<double> prefill;  // admitted to the first token
  std::optional<double> decode;   // first token to the end
  double total = 0;
};

// Thread-safe.
class Metrics {
 public:
  explicit Metrics(const MetricsOptions& options);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void count_http(const std::string& route, int status);
  void request_ended(const RequestRecord& record);
  void first_token_after(double seconds);
  void next_token_after(double seconds);
  // `reason`: stop, length, tool_calls, abort or error.
  void finished(const std::string& reason, const GenerationTimes& times);

  // The page, with the engine's numbers as they are now, and those of the KV blocks that it has
  // sent to other engines.
  std::string page(const engine::EngineStats& stats, const engine::KvTransferStats& sent);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom::api
