#include "ledger/sql/postgres_plug_in.h"

#include "base/plug_in.h"

namespace fathom::ledger {

Result<Connect> postgres_connector(const std::string& url) {
  static constexpr PlugIn kPlugIn{.file = "libfathom_postgres.so",
                                  .entry = "fathom_postgres_entry",
                                  .purpose = "a store in PostgreSQL",
                                  .needs = "libpq (package libpq5; to build it: libpq-dev)"};
  FATHOM_ASSIGN(void* const entry, load_plug_in(kPlugIn));
  const PostgresPlugIn* plug_in = reinterpret_cast<PostgresEntry>(entry)();
  if (plug_in->version != kPostgresVersion) return other_version(kPlugIn, kPostgresVersion);
  return Connect([plug_in, url] { return plug_in->connect(url); });
}

}  // namespace fathom::ledger
