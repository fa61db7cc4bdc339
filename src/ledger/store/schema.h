// The store's tables, and how those of an older Fathom become those of this one.
#pragma once

#include <vector>

#include "base/result.h"
#include "ledger/sql/connection.h"

namespace fathom::ledger {

// A step from one version to the next. First expand: add tables and columns that the version before
// does not see. One version later contract: drop what only it used. So `oldest`, the oldest version
// of Fathom's tables that can still work with these, lags behind by one where a step contracts.
struct Migration {
  int version = 0;
  int oldest = 0;
  // {identity} stands for the type of a column that counts up by itself.
  const char* statements = "";
};

const std::vector<Migration>& migrations();

// Brings the store to the last of `steps`, in one transaction under a lock, so that of several that
// start at once one does the work. A store that is newer stays as it is: it is used if its `oldest`
// allows, and refused with kUnsupported if not.
Status migrate(Connection& connection, const std::vector<Migration>& steps = migrations());

}  // namespace fathom::ledger
