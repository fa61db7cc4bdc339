#include "ledger/reports/reports.h"

namespace fathom::ledger {

Result<std::vector<UsageHour>> usage(Transaction& transaction, const std::string& organisation,
                                     Time from, Time to) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run(
          "SELECT api_key, project, model, hour, requests, cached, prompt, completion, "
          "charged, written_off FROM usage_hours WHERE org = $1 AND hour >= $2 AND hour < "
          "$3 ORDER BY hour, api_key, model",
          {organisation, from, to}));
  std::vector<UsageHour> hours;
  for (const Row& row : found.rows) {
    hours.push_back({text(row[0]),
                     text(row[1]),
                     text(row[2]),
                     number(row[3]),
                     number(row[4]),
                     {number(row[5]), number(row[6]), number(row[7])},
                     number(row[8]),
                     number(row[9])});
  }
  return hours;
}

Result<Invoice> invoice(Transaction& transaction, const std::string& organisation, Time in_month) {
  Invoice made{.begin = month_begin(in_month), .end = next_month(in_month)};
  FATHOM_ASSIGN(const Outcome lines,
                transaction.sql.run(
                    "SELECT model, CAST(SUM(requests) AS BIGINT), CAST(SUM(cached) AS BIGINT), "
                    "CAST(SUM(prompt) AS BIGINT), CAST(SUM(completion) AS BIGINT), "
                    "CAST(SUM(charged) AS BIGINT) FROM usage_hours WHERE org = $1 AND hour >= "
                    "$2 AND hour < $3 GROUP BY model ORDER BY model",
                    {organisation, made.begin, made.end}));
  for (const Row& row : lines.rows) {
    made.lines.push_back({text(row[0]),
                          number(row[1]),
                          {number(row[2]), number(row[3]), number(row[4])},
                          number(row[5])});
    FATHOM_ASSIGN(made.charged, add(made.charged, number(row[5])));
  }
  FATHOM_ASSIGN(const Outcome grants,
                transaction.sql.run(
                    "SELECT CAST(COALESCE(SUM(CASE WHEN kind = 'refund' THEN available ELSE 0 "
                    "END), 0) AS BIGINT), CAST(COALESCE(SUM(CASE WHEN kind = 'credit' THEN "
                    "available ELSE 0 END), 0) AS BIGINT), CAST(COALESCE(SUM(CASE WHEN kind = "
                    "'adjustment' THEN available ELSE 0 END), 0) AS BIGINT) FROM entries WHERE "
                    "org = $1 AND at >= $2 AND at < $3",
                    {organisation, made.begin, made.end}));
  made.refunded = number(grants.rows.at(0)[0]);
  made.credited = number(grants.rows.at(0)[1]);
  made.adjusted = number(grants.rows.at(0)[2]);
  FATHOM_ASSIGN(const Outcome balance,
                transaction.sql.run("SELECT CAST(COALESCE(SUM(available + reserved), 0) AS BIGINT) "
                                    "FROM entries WHERE org = $1 AND at < $2",
                                    {organisation, made.end}));
  made.balance = number(balance.rows.at(0)[0]);
  return made;
}

Result<std::vector<RequestRecord>> requests_of(Transaction& transaction,
                                               const std::string& organisation, Time before,
                                               int64_t most) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run(
          "SELECT id, client_id, api_key, model, state, at, cached, prompt, completion, "
          "charged, price_version, band FROM requests WHERE org = $1 AND at < $2 ORDER BY "
          "at DESC, id LIMIT $3",
          {organisation, before, most}));
  std::vector<RequestRecord> records;
  for (const Row& row : found.rows) {
    records.push_back({text(row[0]),
                       text(row[1]),
                       text(row[2]),
                       text(row[3]),
                       text(row[4]),
                       number(row[5]),
                       {number(row[6]), number(row[7]), number(row[8])},
                       number(row[9]),
                       number(row[10]),
                       text(row[11])});
  }
  return records;
}

Result<int64_t> forget_records(Transaction& transaction, Time before, int64_t most) {
  FATHOM_ASSIGN(
      const Outcome done,
      transaction.sql.run("DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE "
                          "state <> 'open' AND closed < $1 AND closed > 0 ORDER BY closed "
                          "LIMIT $2)",
                          {before, most}));
  return done.changed;
}

}  // namespace fathom::ledger
