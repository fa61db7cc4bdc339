// Which kind of store a name stands for.
#pragma once

#include <string>

#include "base/result.h"
#include "ledger/sql/connection.h"

namespace fathom::ledger {

// How to connect to a store: "postgresql://..." or "postgres://...", else the path of an SQLite
// file, which is made where there is none. kNotFound where PostgreSQL's plug-in is missing; that
// the store is there is seen only by connecting.
Result<Connect> connector(const std::string& store);

}  // namespace fathom::ledger
