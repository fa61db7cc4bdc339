#include "ledger/sql/connector.h"

#include "ledger/sql/postgres_plug_in.h"
#include "ledger/sql/sqlite.h"

namespace fathom::ledger {

Result<Connect> connector(const std::string& store) {
  if (store.starts_with("postgresql://") || store.starts_with("postgres://")) {
    return postgres_connector(store);
  }
  if (store.empty()) {
    return invalid_argument("store: expected a file or postgresql://..., got nothing", "store");
  }
  return Connect([store] { return open_sqlite(store); });
}

}  // namespace fathom::ledger
