// The books: double-entry, append-only.
//
// An organisation has six accounts. Every entry adds to some of them so that the sum over all stays
// zero, and the store refuses one that does not, as it refuses to let the first two become
// negative.
#pragma once

#include <string>
#include <vector>

#include "ledger/money/money.h"
#include "ledger/store/transaction.h"

namespace fathom::ledger {

struct Accounts {
  Micros available = 0;    // what the organisation may still spend
  Micros reserved = 0;     // what open requests may cost
  Micros revenue = 0;      // what it was charged
  Micros cash = 0;         // what it paid, as a negative number
  Micros adjustments = 0;  // what was given or taken without payment, negated
  Micros written_off = 0;  // what it used and could not be charged, negated

  friend bool operator==(const Accounts&, const Accounts&) = default;
};

struct Entry {
  int64_t seq = 0;
  Time at = 0;
  std::string organisation;
  // reserve, settle, release, lapse, late, write_off; credit, refund, adjustment.
  std::string kind;
  std::string source;  // the request or the grant; each has at most one entry of a kind
  Accounts change;
  std::string author = {};  // of a grant
  std::string reason = {};
};

// Holds the organisation's balance until the transaction ends. kNotFound for an unknown one.
Result<Accounts> hold_accounts(Transaction& transaction, const std::string& organisation);
Result<Accounts> accounts_of(Transaction& transaction, const std::string& organisation);

// Adds an entry, and its change to the balance; `seq` and `at` are the store's to say.
Status post(Transaction& transaction, const Entry& entry);

// The oldest first, those above `after`, at most `most`.
Result<std::vector<Entry>> entries_of(Transaction& transaction, const std::string& organisation,
                                      int64_t after, int64_t most);

}  // namespace fathom::ledger
