#include "ledger/books/check.h"

#include <fmt/format.h>

namespace fathom::ledger {

namespace {

// Each finds ids of what is wrong, $1 of them at most; `wrong` says what it is.
struct Question {
  const char* wrong;
  const char* sql;
};

constexpr Question kQuestions[] = {
    {"entry {}: expected a sum of zero",
     "SELECT CAST(seq AS TEXT) FROM entries WHERE available + reserved + revenue + cash + "
     "adjustments + written_off <> 0 ORDER BY seq LIMIT $1"},
    {"organisation {}: expected a balance that is not negative and sums to zero",
     "SELECT org FROM balances WHERE available < 0 OR reserved < 0 OR available + reserved + "
     "revenue "
     "+ cash + adjustments + written_off <> 0 ORDER BY org LIMIT $1"},
    {"organisation {}: expected the balance that its entries sum to",
     "SELECT b.org FROM balances b LEFT JOIN (SELECT org, SUM(available) AS a, SUM(reserved) AS r, "
     "SUM(revenue) AS v, SUM(cash) AS c, SUM(adjustments) AS d, SUM(written_off) AS w FROM entries "
     "GROUP BY org) e ON e.org = b.org WHERE b.available <> COALESCE(e.a, 0) OR b.reserved <> "
     "COALESCE(e.r, 0) OR b.revenue <> COALESCE(e.v, 0) OR b.cash <> COALESCE(e.c, 0) OR "
     "b.adjustments <> COALESCE(e.d, 0) OR b.written_off <> COALESCE(e.w, 0) ORDER BY b.org LIMIT "
     "$1"},
    {"organisation {}: expected entries of an organisation that has a balance",
     "SELECT DISTINCT e.org FROM entries e LEFT JOIN balances b ON b.org = e.org WHERE b.org IS "
     "NULL "
     "ORDER BY e.org LIMIT $1"},
    {"organisation {}: expected the sum of its open requests to be reserved",
     "SELECT b.org FROM balances b LEFT JOIN (SELECT org, SUM(reserved) AS r FROM requests WHERE "
     "state = 'open' GROUP BY org) q ON q.org = b.org WHERE b.reserved <> COALESCE(q.r, 0) ORDER "
     "BY "
     "b.org LIMIT $1"},
    {"request {}: expected entries for what it was charged, and no others",
     "SELECT q.id FROM requests q LEFT JOIN (SELECT source, SUM(revenue) AS v, SUM(written_off) AS "
     "w, SUM(reserved) AS r FROM entries WHERE kind IN ('reserve', 'settle', 'release', 'lapse', "
     "'late', 'write_off') GROUP BY source) e ON e.source = q.id WHERE COALESCE(e.v, 0) <> "
     "q.charged "
     "+ q.written_off OR COALESCE(e.w, 0) <> -q.written_off OR COALESCE(e.r, 0) <> CASE WHEN "
     "q.state "
     "= 'open' THEN q.reserved ELSE 0 END ORDER BY q.id LIMIT $1"},
    {"organisation {}: expected the usage of its hours to sum to what it was charged",
     "SELECT b.org FROM balances b LEFT JOIN (SELECT org, SUM(charged) AS c, SUM(written_off) AS w "
     "FROM usage_hours GROUP BY org) u ON u.org = b.org LEFT JOIN (SELECT org, SUM(revenue) AS v "
     "FROM "
     "entries WHERE kind = 'refund' GROUP BY org) f ON f.org = b.org WHERE b.revenue <> "
     "COALESCE(u.c, 0) + COALESCE(u.w, 0) + COALESCE(f.v, 0) ORDER BY b.org LIMIT $1"},
};

}  // namespace

Result<std::vector<std::string>> check_books(Transaction& transaction, int64_t most) {
  std::vector<std::string> wrong;
  for (const Question& question : kQuestions) {
    FATHOM_ASSIGN(const Outcome found, transaction.sql.run(question.sql, {most}));
    for (const Row& row : found.rows) {
      wrong.push_back(fmt::format(fmt::runtime(question.wrong), text(row[0])));
    }
  }
  return wrong;
}

}  // namespace fathom::ledger
