// What an operation on the store is given.
#pragma once

#include "ledger/prices/price_table.h"
#include "ledger/sql/connection.h"

namespace fathom::ledger {

// Operations are functions of a Transaction that return a Result. With an error all they did is
// undone. A transaction may be done again after a dead-lock or a lost connection: an operation
// changes nothing but the store.
struct Transaction {
  Connection& sql;
  Time now = 0;  // the store's clock, once for a group
  // How far this machine's clock is ahead of the store's.
  Time clock_ahead = 0;
};

}  // namespace fathom::ledger
