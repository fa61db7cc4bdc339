// PostgreSQL is reached through libfathom_postgres.so, so that the binary runs without libpq.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "ledger/sql/connection.h"

namespace fathom::ledger {

// What the plug-in's entry returns. It is built with the binary: the version says that it was.
inline constexpr int kPostgresVersion = 1;
struct PostgresPlugIn {
  int version = 0;
  Result<std::unique_ptr<Connection>> (*connect)(const std::string& url) = nullptr;
};
using PostgresEntry = const PostgresPlugIn* (*)();

Result<Connect> postgres_connector(const std::string& url);

}  // namespace fathom::ledger
