#include "ledger/books/entries.h"

#include <fmt/format.h>

namespace fathom::ledger {

namespace {

constexpr const char* kAccounts = "available, reserved, revenue, cash, adjustments, written_off";

Accounts accounts_at(const Row& row, size_t first) {
  return {number(row[first]),     number(row[first + 1]), number(row[first + 2]),
          number(row[first + 3]), number(row[first + 4]), number(row[first + 5])};
}

Result<Accounts> read_accounts(Transaction& transaction, const std::string& organisation,
                               std::string_view locking) {
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run(
                    fmt::format("SELECT {} FROM balances WHERE org = $1{}", kAccounts, locking),
                    {organisation}));
  if (found.rows.empty()) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("organisation: expected an id, got \"{}\"", organisation),
                 "organisation"};
  }
  return accounts_at(found.rows[0], 0);
}

}  // namespace

Result<Accounts> hold_accounts(Transaction& transaction, const std::string& organisation) {
  return read_accounts(transaction, organisation, transaction.sql.locking());
}

Result<Accounts> accounts_of(Transaction& transaction, const std::string& organisation) {
  return read_accounts(transaction, organisation, "");
}

Status post(Transaction& transaction, const Entry& entry) {
  const Accounts& c = entry.change;
  FATHOM_ASSIGN(const Outcome moved,
                transaction.sql.run(
                    "UPDATE balances SET available = available + $1, reserved = reserved + $2, "
                    "revenue = revenue + $3, cash = cash + $4, adjustments = adjustments + $5, "
                    "written_off = written_off + $6 WHERE org = $7",
                    {c.available, c.reserved, c.revenue, c.cash, c.adjustments, c.written_off,
                     entry.organisation}));
  if (moved.changed != 1) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("organisation: expected an id, got \"{}\"", entry.organisation),
                 "organisation"};
  }
  const auto added = transaction.sql.run(
      fmt::format("INSERT INTO entries (at, org, kind, source, {}, author, reason) VALUES ($1, $2, "
                  "$3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                  kAccounts),
      {transaction.now, entry.organisation, entry.kind, entry.source, c.available, c.reserved,
       c.revenue, c.cash, c.adjustments, c.written_off, entry.author, entry.reason});
  if (!added) return added.error();
  return {};
}

Result<std::vector<Entry>> entries_of(Transaction& transaction, const std::string& organisation,
                                      int64_t after, int64_t most) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run(
          fmt::format("SELECT seq, at, org, kind, source, author, reason, {} FROM entries "
                      "WHERE org = $1 AND seq > $2 ORDER BY seq LIMIT $3",
                      kAccounts),
          {organisation, after, most}));
  std::vector<Entry> entries;
  for (const Row& row : found.rows) {
    entries.push_back({.seq = number(row[0]),
                       .at = number(row[1]),
                       .organisation = text(row[2]),
                       .kind = text(row[3]),
                       .source = text(row[4]),
                       .change = accounts_at(row, 7),
                       .author = text(row[5]),
                       .reason = text(row[6])});
  }
  return entries;
}

}  // namespace fathom::ledger
