#include "ledger/tenants/audit.h"

namespace fathom::ledger {

Status record(Transaction& transaction, const AuditLine& line) {
  const auto done = transaction.sql.run(
      "INSERT INTO audit (at, author, address, action, subject, state_before, state_after) VALUES "
      "($1, $2, $3, $4, $5, $6, $7)",
      {transaction.now, line.actor.author, line.actor.address, line.action, line.subject,
       line.before, line.after});
  if (!done) return done.error();
  return {};
}

Result<std::vector<AuditLine>> audit_log(Transaction& transaction, int64_t after, int64_t most) {
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run(
                    "SELECT seq, at, author, address, action, subject, state_before, state_after "
                    "FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
                    {after, most}));
  std::vector<AuditLine> lines;
  for (const Row& row : found.rows) {
    lines.push_back({number(row[0]),
                     number(row[1]),
                     {text(row[2]), text(row[3])},
                     text(row[4]),
                     text(row[5]),
                     text(row[6]),
                     text(row[7])});
  }
  return lines;
}

}  // namespace fathom::ledger
