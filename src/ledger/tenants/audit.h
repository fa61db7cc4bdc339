// Who changed what. Each operation of an administrator writes its line in its own transaction.
#pragma once

#include <string>
#include <vector>

#include "ledger/store/transaction.h"

namespace fathom::ledger {

struct Actor {
  std::string author;   // the id of the key
  std::string address;  // from where
};

struct AuditLine {
  int64_t seq = 0;
  Time at = 0;
  Actor actor;
  std::string action;   // "key.revoke"
  std::string subject;  // the id of what was changed
  std::string before;   // JSON, or "" where it was not there; never a secret
  std::string after;
};

// `line.seq` and `line.at` are the store's to say.
Status record(Transaction& transaction, const AuditLine& line);

// The oldest first, those above `after`, at most `most`.
Result<std::vector<AuditLine>> audit_log(Transaction& transaction, int64_t after, int64_t most);

}  // namespace fathom::ledger
