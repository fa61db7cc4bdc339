// Whether the books are right.
#pragma once

#include <string>
#include <vector>

#include "ledger/store/transaction.h"

namespace fathom::ledger {

// A sentence for each thing that does not sum; none if all is right. `most` sentences a kind.
Result<std::vector<std::string>> check_books(Transaction& transaction, int64_t most = 100);

}  // namespace fathom::ledger
