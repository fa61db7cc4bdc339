// What the owners of keys have used, for /metrics.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <array>
#include <map>
#include <mutex>
#include <string>

#include "api/http/request_record.h"

namespace fathom::api {

class OwnerMetrics {
 public:
  // Owners beyond that many are one, "other".
  static constexpr size_t kMaxOwners = 1000;

  explicit OwnerMetrics(prometheus::Registry& registry);

  // Probes do not count. Thread-safe.
  void count(const RequestRecord& record);

 private:
  using Family = prometheus::Family<prometheus::Counter>;
  struct Counters {
    std::array<prometheus::Counter*, 6> requests = {};  // by the first digit of the status
    prometheus::Counter* prompt_tokens = nullptr;
    prometheus::Counter* cached_tokens = nullptr;
    prometheus::Counter* answer_tokens = nullptr;
  };
  Counters& counters_of(const std::string& owner);  // needs mutex_
  prometheus::Counter& requests_of(const std::string& owner, Counters& counters, int status);

  Family& requests_;
  Family& prompt_tokens_;
  Family& cached_tokens_;
  Family& answer_tokens_;
  std::mutex mutex_;
  std::map<std::string, Counters> owners_;  // by label
};

}  // namespace fathom::api
