// What organisations used and owe, for them and for who bills them.
#pragma once

#include <string>
#include <vector>

#include "ledger/books/entries.h"
#include "ledger/store/transaction.h"

namespace fathom::ledger {

struct UsageHour {
  std::string key;
  std::string project;
  std::string model;
  Time hour = 0;  // when it began; a request counts in the hour in which it was settled
  int64_t requests = 0;
  Tokens tokens;
  Micros charged = 0;
  Micros written_off = 0;
};

// Of [from, to), the oldest first.
Result<std::vector<UsageHour>> usage(Transaction& transaction, const std::string& organisation,
                                     Time from, Time to);

struct InvoiceLine {
  std::string model;
  int64_t requests = 0;
  Tokens tokens;
  Micros charged = 0;
};

// A calendar month in UTC. Its numbers do not change once the month is over.
struct Invoice {
  Time begin = 0;
  Time end = 0;
  std::vector<InvoiceLine> lines = {};
  Micros charged = 0;  // the sum of the lines
  Micros refunded = 0;
  Micros credited = 0;
  Micros adjusted = 0;  // what was given without payment; negative where taken
  Micros balance = 0;   // available and reserved at its end
};
Result<Invoice> invoice(Transaction& transaction, const std::string& organisation, Time in_month);

// A request as it was recorded: never its texts.
struct RequestRecord {
  std::string id;
  std::string client_id;
  std::string key;
  std::string model;
  std::string state;  // open, settled, released, lapsed
  Time at = 0;
  Tokens used;
  Micros charged = 0;
  int64_t price_version = 0;
  std::string band;
};
// The newest first, those reserved before `before`, at most `most`.
Result<std::vector<RequestRecord>> requests_of(Transaction& transaction,
                                               const std::string& organisation, Time before,
                                               int64_t most);

inline constexpr Time kRecordsKept = 400 * kDay;
// Forgets the records of requests that ended before `before`, at most `most`; their entries and
// sums stay. Returns how many went.
Result<int64_t> forget_records(Transaction& transaction, Time before, int64_t most);

}  // namespace fathom::ledger
