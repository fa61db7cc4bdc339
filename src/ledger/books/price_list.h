// The prices in the store: versions of each model's, each valid from a moment on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ledger/prices/price_table.h"
#include "ledger/store/transaction.h"
#include "ledger/tenants/audit.h"

namespace fathom::ledger {

struct Price {
  std::string model;
  int64_t version = 0;  // 1, 2, ... for each model
  Time valid_from = 0;
  PriceTable table = {};
};

// Adds a version, which counts from `valid_from` on, or from now where that is 0. Of several that
// are valid the one with the latest valid_from counts, and of these the newest. kInvalidArgument
// for a moment that is over: what requests were charged by stays true.
Result<Price> set_price(Transaction& transaction, const Actor& actor, const std::string& model,
                        const PriceTable& table, Time valid_from);

// What holds at `at`; nothing for a model without a price.
Result<std::optional<Price>> find_price(Transaction& transaction, const std::string& model,
                                        Time at);
// All versions, the oldest first.
Result<std::vector<Price>> prices_of(Transaction& transaction, const std::string& model);

}  // namespace fathom::ledger
