#include "api/http/owner_metrics.h"

#include <algorithm>

namespace fathom::api {

namespace {

constexpr const char* kNobody = "-";  // no key
constexpr const char* kOther = "other";

prometheus::Family<prometheus::Counter>& counter_family(prometheus::Registry& registry,
                                                        const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

}  // namespace

OwnerMetrics::OwnerMetrics(prometheus::Registry& registry)
    : requests_(counter_family(registry, "fathom_owner_requests_total",
                               "Requests that have ended, by owner and class of status.")),
      prompt_tokens_(counter_family(registry, "fathom_owner_prompt_tokens_total",
                                    "Prompt tokens of an owner's requests, cached ones too.")),
      cached_tokens_(counter_family(registry, "fathom_owner_cached_tokens_total",
                                    "Of those, found in the prefix cache.")),
      answer_tokens_(counter_family(registry, "fathom_owner_answer_tokens_total",
                                    "Tokens generated for an owner.")) {}

OwnerMetrics::Counters& OwnerMetrics::counters_of(const std::string& owner) {
  const auto [found, added] = owners_.try_emplace(owner);
  Counters& counters = found->second;
  if (added) {
    const prometheus::Labels labels = {{"owner", owner}};
    counters.prompt_tokens = &prompt_tokens_.Add(labels);
    counters.cached_tokens = &cached_tokens_.Add(labels);
    counters.answer_tokens = &answer_tokens_.Add(labels);
  }
  return counters;
}

prometheus::Counter& OwnerMetrics::requests_of(const std::string& owner, Counters& counters,
                                               int status) {
  const auto digit = static_cast<size_t>(std::clamp(status / 100, 0, 5));
  if (counters.requests[digit] == nullptr) {
    counters.requests[digit] =
        &requests_.Add({{"owner", owner}, {"status", std::to_string(digit) + "xx"}});
  }
  return *counters.requests[digit];
}

void OwnerMetrics::count(const RequestRecord& record) {
  if (record.probe) return;
  std::string owner = record.owner.empty() ? kNobody : record.owner;
  const std::lock_guard lock(mutex_);
  if (owners_.size() >= kMaxOwners && !owners_.contains(owner)) owner = kOther;
  Counters& counters = counters_of(owner);
  requests_of(owner, counters, record.status).Increment();
  counters.prompt_tokens->Increment(static_cast<double>(record.prompt_tokens));
  counters.cached_tokens->Increment(static_cast<double>(record.cached_tokens));
  counters.answer_tokens->Increment(static_cast<double>(record.answer_tokens));
}

}  // namespace fathom::api
