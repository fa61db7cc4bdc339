// A request's way through the books: reserve before work begins, then settle or release, once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ledger/books/entries.h"
#include "ledger/tenants/limits.h"

namespace fathom::ledger {

// A gateway says that it lives. When its lease ends, what it has reserved lapses.
Status renew_lease(Transaction& transaction, const std::string& gateway, Time duration);

// A gateway whose clock differs more from the store's takes no work.
inline constexpr Time kMaxClockDifference = 2 * kSecond;

struct Reservation {
  std::string id;         // made by the gateway; what makes each call here idempotent
  std::string client_id;  // X-Request-Id, only recorded
  std::string gateway;
  std::string key;  // its id
  std::string model;
  // The most it may use: its prompt, as if nothing of it were cached, and its answers' limits
  // together.
  int64_t prompt = 0;
  int64_t completion = 0;
};

// Why a request may not run, for its client.
struct Refusal {
  enum class Kind {
    kKey,      // revoked, expired, of no organisation, or not for this model
    kPrice,    // the model has none
    kBalance,  // less is available than it may cost
    kLimit,
  };
  Kind kind;
  std::string message;
  std::optional<LimitState> limit = {};  // the limit that refuses it
};

struct Reserved {
  std::optional<Refusal> refusal = {};  // nothing below counts, but for limits and available
  Micros micros = 0;
  int64_t price_version = 0;
  std::string band = {};
  Rates rates = {};
  Micros available = 0;                 // afterwards
  std::vector<LimitState> limits = {};  // as they are with this request
};

// Reserving again with the same id answers what was answered. kCancelled where the id was used for
// another request, or its request is over: a conflict. kUnavailable where the gateway's lease has
// ended or its clock is wrong.
Result<Reserved> reserve(Transaction& transaction, const Reservation& wanted);

struct Settled {
  Micros charged = 0;
  Micros written_off = 0;  // of a late one, what was not available
  bool repeated = false;
};

// Charges what was used. After a lapse the request is late: it is charged as far as the balance
// allows, and the rest is written off by an entry of its own. So is what exceeds the reservation.
// kCancelled where it was settled with other tokens or released; kNotFound for an unknown id.
Result<Settled> settle(Transaction& transaction, const std::string& id, const Tokens& used);

// Gives all back. Releasing again changes nothing; kCancelled where it was settled.
Status release(Transaction& transaction, const std::string& id);

// Requests whose gateway's lease has ended, the oldest first, at most `most`; to be given to
// lapse().
struct LapsedRequest {
  std::string id;
  std::string organisation;
};
Result<std::vector<LapsedRequest>> lapsed(Transaction& transaction, int64_t most);
// Gives back what a dead gateway reserved. False where it is not open or the lease was renewed.
Result<bool> lapse(Transaction& transaction, const std::string& id);

// For the order of Store::write(). kNotFound for an unknown id.
Result<std::string> organisation_of_request(Transaction& transaction, const std::string& id);

}  // namespace fathom::ledger
