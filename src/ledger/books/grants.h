// Money that is given or taken by hand.
#pragma once

#include <string>

#include "ledger/books/entries.h"
#include "ledger/tenants/audit.h"

namespace fathom::ledger {

enum class GrantKind {
  kCredit,      // paid by the organisation
  kRefund,      // of charges: revenue goes back
  kAdjustment,  // neither; the only one that may be negative
};
const char* to_string(GrantKind kind);

struct Grant {
  std::string organisation;
  GrantKind kind = GrantKind::kCredit;
  Micros micros = 0;
  std::string reason;
  std::string idempotency_key;
};

struct Granted {
  std::string id;
  Accounts accounts;      // afterwards
  bool repeated = false;  // done by an earlier call with the same key
};

// kCancelled where the key was used for something else: a conflict. kInvalidArgument for an amount
// that would take more than is available, a refund above what was charged, or one that is not
// positive.
Result<Granted> grant(Transaction& transaction, const Actor& actor, const Grant& wanted);

}  // namespace fathom::ledger
