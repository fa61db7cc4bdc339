// A store in a file of SQLite, in WAL mode: readers never wait for the writer.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "ledger/sql/connection.h"

namespace fathom::ledger {

// A commit is on the disk when commit returns. kIo where the file cannot be opened or is none of
// SQLite's. The file is made for its owner alone.
Result<std::unique_ptr<Connection>> open_sqlite(const std::string& path);

}  // namespace fathom::ledger
