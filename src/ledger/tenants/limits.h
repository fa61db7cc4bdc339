// How much an organisation, a project or a key may use, of one model or of all.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ledger/store/transaction.h"
#include "ledger/tenants/audit.h"

namespace fathom::ledger {

enum class LimitKind {
  kRequests,     // a minute of the store's clock
  kTokens,       // a minute: what is reserved, and what was used once that is known
  kConcurrency,  // open at once
  kBudget,       // micros a calendar month in UTC, reserved or charged
};
const char* to_string(LimitKind kind);
std::optional<LimitKind> parse_limit_kind(std::string_view name);

struct Limit {
  std::string owner;       // an id
  std::string model = {};  // "" for all together
  LimitKind kind = LimitKind::kRequests;
  int64_t most = 0;
};

// Sets a limit, or takes it away where `most` is negative. What is in use already counts.
Status set_limit(Transaction& transaction, const Actor& actor, const Limit& limit);
Result<std::vector<Limit>> limits_of(Transaction& transaction, const std::string& owner);

// Whom a request is counted for.
struct Counted {
  std::string organisation;
  std::string project;
  std::string key;
  std::string model;
  Time at = 0;  // of its reservation
};

// A limit as a request meets it.
struct LimitState {
  Limit limit;
  std::string level;  // "organisation", "project", "key"
  int64_t used = 0;   // without the request
  Time resets = 0;    // when its window ends; 0 where others must end first
};

// What a request adds to its limits, or takes from them.
struct LimitUse {
  int64_t requests = 0;
  int64_t tokens = 0;
  int64_t concurrency = 0;
  Micros money = 0;
};

// All limits that a request meets. The caller holds the organisation's balance, and with it these.
Result<std::vector<LimitState>> limits_met(Transaction& transaction, const Counted& counted);
int64_t part(const LimitUse& use, LimitKind kind);

// Counts a new request; `counted.at` is now.
Status count_new(Transaction& transaction, const Counted& counted, const LimitUse& use);
// Corrects what was counted for an older one, where the window it was counted in still runs.
Status correct(Transaction& transaction, const Counted& counted, const LimitUse& use);

}  // namespace fathom::ledger
