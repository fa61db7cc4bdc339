#include <fmt/format.h>

#include <algorithm>

#include "ledger/books/requests.h"
#include "ledger/tenants/ids.h"

namespace fathom::ledger {

namespace {

struct Record {
  std::string state;  // open, settled, released, lapsed
  std::string gateway;
  Counted counted;
  int64_t prompt_most = 0;
  int64_t completion_most = 0;
  Micros reserved = 0;
  Rates rates;
  Tokens used;
  Micros charged = 0;
  Micros written_off = 0;
  Accounts accounts;  // the organisation's, held
};

Error conflict_with(const std::string& id, const std::string& state, const char* expected) {
  return {ErrorCode::kCancelled,
          fmt::format("request {}: expected {}, got one that was {}", id, expected, state), "id"};
}

// The organisation's balance is held before the request is read, as reserve() does it.
Result<Record> hold_request(Transaction& transaction, const std::string& id) {
  FATHOM_ASSIGN(const std::string organisation, organisation_of_request(transaction, id));
  Record record;
  FATHOM_ASSIGN(record.accounts, hold_accounts(transaction, organisation));
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run("SELECT state, gateway, org, project, api_key, model, at, prompt_most, "
                          "completion_most, reserved, rate_cached, rate_prompt, rate_completion, "
                          "cached, prompt, completion, charged, written_off FROM requests WHERE id "
                          "= $1",
                          {id}));
  const Row& row = found.rows.at(0);
  record.state = text(row[0]);
  record.gateway = text(row[1]);
  record.counted = {text(row[2]), text(row[3]), text(row[4]), text(row[5]), number(row[6])};
  record.prompt_most = number(row[7]);
  record.completion_most = number(row[8]);
  record.reserved = number(row[9]);
  record.rates = {number(row[10]), number(row[11]), number(row[12])};
  record.used = {number(row[13]), number(row[14]), number(row[15])};
  record.charged = number(row[16]);
  record.written_off = number(row[17]);
  return record;
}

Status close(Transaction& transaction, const std::string& id, const char* state, const Tokens& used,
             const Settled& settled) {
  const auto done = transaction.sql.run(
      "UPDATE requests SET state = $1, closed = $2, cached = $3, prompt = $4, completion = $5, "
      "charged = $6, written_off = $7 WHERE id = $8",
      {state, transaction.now, used.cached, used.prompt, used.completion, settled.charged,
       settled.written_off, id});
  if (!done) return done.error();
  return {};
}

Status count_usage(Transaction& transaction, const Counted& counted, const Tokens& used,
                   const Settled& settled) {
  const auto done = transaction.sql.run(
      "INSERT INTO usage_hours (org, project, api_key, model, hour, requests, cached, prompt, "
      "completion, charged, written_off) VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10) ON "
      "CONFLICT (org, hour, api_key, model) DO UPDATE SET requests = usage_hours.requests + 1, "
      "cached = usage_hours.cached + excluded.cached, prompt = usage_hours.prompt + "
      "excluded.prompt, completion = usage_hours.completion + excluded.completion, charged = "
      "usage_hours.charged + excluded.charged, written_off = usage_hours.written_off + "
      "excluded.written_off",
      {counted.organisation, counted.project, counted.key, counted.model,
       transaction.now - transaction.now % kHour, used.cached, used.prompt, used.completion,
       settled.charged, settled.written_off});
  if (!done) return done.error();
  return {};
}

// What of a charge comes from the reservation is `within`; the rest from what is available, and
// what that does not hold is written off.
Status post_charge(Transaction& transaction, const std::string& id, const Record& record,
                   Micros cost, Settled& settled) {
  const bool open = record.state == "open";
  const Micros reserved = open ? record.reserved : 0;
  const Micros free = record.accounts.available + reserved;
  settled.charged = std::min(cost, free);
  settled.written_off = cost - settled.charged;
  FATHOM_TRY(post(transaction, {.organisation = record.counted.organisation,
                                .kind = open ? "settle" : "late",
                                .source = id,
                                .change = {.available = reserved - settled.charged,
                                           .reserved = -reserved,
                                           .revenue = settled.charged}}));
  if (settled.written_off == 0) return {};
  return post(transaction,
              {.organisation = record.counted.organisation,
               .kind = "write_off",
               .source = id,
               .change = {.revenue = settled.written_off, .written_off = -settled.written_off}});
}

// Gives all back, and leaves the request as `state`.
Status give_back(Transaction& transaction, const std::string& id, const Record& record,
                 const char* state, const char* kind) {
  FATHOM_TRY(
      post(transaction, {.organisation = record.counted.organisation,
                         .kind = kind,
                         .source = id,
                         .change = {.available = record.reserved, .reserved = -record.reserved}}));
  FATHOM_TRY(correct(transaction, record.counted,
                     {.tokens = -(record.prompt_most + record.completion_most),
                      .concurrency = -1,
                      .money = -record.reserved}));
  return close(transaction, id, state, {}, {});
}

}  // namespace

Result<std::string> organisation_of_request(Transaction& transaction, const std::string& id) {
  FATHOM_TRY(check_text("id", id, 256));
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run("SELECT org FROM requests WHERE id = $1", {id}));
  if (found.rows.empty()) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("request: expected the id of one that was reserved, got \"{}\"", id),
                 "id"};
  }
  return text(found.rows[0][0]);
}

Result<Settled> settle(Transaction& transaction, const std::string& id, const Tokens& used) {
  FATHOM_ASSIGN(const Record record, hold_request(transaction, id));
  if (record.state == "settled") {
    if (record.used != used)
      return conflict_with(id, record.state, "the tokens it was settled with");
    return Settled{record.charged, record.written_off, true};
  }
  if (record.state == "released") return conflict_with(id, record.state, "one that is open");
  FATHOM_ASSIGN(const Micros cost, charge(used, record.rates));
  Settled settled;
  FATHOM_TRY(post_charge(transaction, id, record, cost, settled));
  const int64_t tokens = used.cached + used.prompt + used.completion;
  const bool open = record.state == "open";
  FATHOM_TRY(
      correct(transaction, record.counted,
              {.tokens = open ? tokens - record.prompt_most - record.completion_most : tokens,
               .concurrency = open ? -1 : 0,
               .money = open ? settled.charged - record.reserved : settled.charged}));
  FATHOM_TRY(close(transaction, id, "settled", used, settled));
  FATHOM_TRY(count_usage(transaction, record.counted, used, settled));
  return settled;
}

Status release(Transaction& transaction, const std::string& id) {
  FATHOM_ASSIGN(const Record record, hold_request(transaction, id));
  if (record.state == "released") return {};
  if (record.state == "settled") return conflict_with(id, record.state, "one that is open");
  // What has lapsed is given back already; from now on nothing can be charged for it.
  if (record.state == "lapsed") return close(transaction, id, "released", {}, {});
  return give_back(transaction, id, record, "released", "release");
}

Result<std::vector<LapsedRequest>> lapsed(Transaction& transaction, int64_t most) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run("SELECT r.id, r.org FROM requests r JOIN gateways g ON g.id = r.gateway "
                          "WHERE r.state = 'open' AND g.lease_end <= $1 ORDER BY r.at LIMIT $2",
                          {transaction.now, most}));
  std::vector<LapsedRequest> requests;
  for (const Row& row : found.rows) requests.push_back({text(row[0]), text(row[1])});
  return requests;
}

Result<bool> lapse(Transaction& transaction, const std::string& id) {
  FATHOM_ASSIGN(const Record record, hold_request(transaction, id));
  if (record.state != "open") return false;
  FATHOM_ASSIGN(
      const Outcome lease,
      transaction.sql.run("SELECT lease_end FROM gateways WHERE id = $1", {record.gateway}));
  if (!lease.rows.empty() && number(lease.rows[0][0]) > transaction.now) return false;
  FATHOM_TRY(give_back(transaction, id, record, "lapsed", "lapse"));
  return true;
}

}  // namespace fathom::ledger
