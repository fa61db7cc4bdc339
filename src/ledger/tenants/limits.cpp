#include "ledger/tenants/limits.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "ledger/tenants/ids.h"

namespace fathom::ledger {

namespace {

constexpr std::array<const char*, 4> kKindNames = {"requests", "tokens", "concurrency", "budget"};

struct Owner {
  std::string level;
  std::string organisation;
  const char* column;  // of requests
};

Result<Owner> owner_of(Transaction& transaction, const std::string& id) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run("SELECT 'organisation', id FROM organisations WHERE id = $1 UNION ALL "
                          "SELECT 'project', org FROM projects WHERE id = $1 UNION ALL "
                          "SELECT 'key', org FROM api_keys WHERE id = $1 AND org <> ''",
                          {id}));
  if (found.rows.empty()) {
    return Error{
        ErrorCode::kNotFound,
        fmt::format("limit: expected the id of an organisation, a project or a key of one, "
                    "got \"{}\"",
                    id),
        "owner"};
  }
  const std::string& level = text(found.rows[0][0]);
  const char* column = level == "organisation" ? "org" : level == "project" ? "project" : "api_key";
  return Owner{level, text(found.rows[0][1]), column};
}

// When the window that holds `at` began, and when it ends.
Time window_begin(LimitKind kind, Time at) {
  if (kind == LimitKind::kConcurrency) return 0;
  return kind == LimitKind::kBudget ? month_begin(at) : at - at % kMinute;
}
Time window_end(LimitKind kind, Time at) {
  if (kind == LimitKind::kConcurrency) return 0;
  return kind == LimitKind::kBudget ? next_month(at) : at - at % kMinute + kMinute;
}

// What of the requests in the books counts for a limit that is new.
Result<int64_t> in_use(Transaction& transaction, const Owner& owner, const Limit& limit,
                       Time since) {
  const char* sum = "COUNT(*)";
  const char* which = "at >= $3";
  switch (limit.kind) {
    case LimitKind::kRequests:
      break;
    case LimitKind::kTokens:
      sum =
          "SUM(CASE WHEN state = 'open' THEN prompt_most + completion_most ELSE cached + prompt + "
          "completion END)";
      break;
    case LimitKind::kConcurrency:
      which = "state = 'open' AND at >= $3";
      break;
    case LimitKind::kBudget:
      sum = "SUM(CASE WHEN state = 'open' THEN reserved ELSE charged END)";
      break;
  }
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run(
          fmt::format("SELECT CAST(COALESCE({}, 0) AS BIGINT) FROM requests WHERE org = $4 "
                      "AND {} = $1 AND ($2 = '' OR model = $2) AND {}",
                      sum, owner.column, which),
          {limit.owner, limit.model, since, owner.organisation}));
  return number(found.rows.at(0)[0]);
}

std::string limit_json(const Limit& limit, int64_t most) {
  return nlohmann::json({{"model", limit.model}, {"kind", to_string(limit.kind)}, {"most", most}})
      .dump();
}

// The conditions under which a limit counts a request: $1 to $4 are its owners and its model.
constexpr const char* kMet = "owner IN ($1, $2, $3) AND model IN ($4, '')";
// $5 is the minute, $6 the month.
constexpr const char* kWindow =
    "CASE kind WHEN 'concurrency' THEN 0 WHEN 'budget' THEN CAST($6 AS BIGINT) ELSE CAST($5 AS "
    "BIGINT) END";
// $7 to $10 are what to add.
constexpr const char* kAdded =
    "CASE kind WHEN 'requests' THEN CAST($7 AS BIGINT) WHEN 'tokens' THEN CAST($8 AS BIGINT) WHEN "
    "'concurrency' THEN CAST($9 AS BIGINT) ELSE CAST($10 AS BIGINT) END";

std::vector<Value> values_of(const Counted& counted, const LimitUse& use) {
  return {counted.organisation,
          counted.project,
          counted.key,
          counted.model,
          window_begin(LimitKind::kTokens, counted.at),
          window_begin(LimitKind::kBudget, counted.at),
          use.requests,
          use.tokens,
          use.concurrency,
          use.money};
}

Result<Limit> limit_of(const Value& owner, const Value& model, const Value& kind,
                       const Value& most) {
  const auto known = parse_limit_kind(text(kind));
  if (!known) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("limit: expected a kind, got \"{}\"", text(kind))};
  }
  return Limit{text(owner), text(model), *known, number(most)};
}

}  // namespace

const char* to_string(LimitKind kind) {
  return kKindNames.at(static_cast<size_t>(kind));
}

std::optional<LimitKind> parse_limit_kind(std::string_view name) {
  for (size_t i = 0; i < kKindNames.size(); ++i) {
    if (name == kKindNames[i]) return static_cast<LimitKind>(i);
  }
  return std::nullopt;
}

int64_t part(const LimitUse& use, LimitKind kind) {
  switch (kind) {
    case LimitKind::kRequests:
      return use.requests;
    case LimitKind::kTokens:
      return use.tokens;
    case LimitKind::kConcurrency:
      return use.concurrency;
    case LimitKind::kBudget:
      return use.money;
  }
  return 0;
}

Status set_limit(Transaction& transaction, const Actor& actor, const Limit& limit) {
  FATHOM_TRY(check_text("owner", limit.owner, 256));
  if (!limit.model.empty()) FATHOM_TRY(check_text("model", limit.model, 256));
  FATHOM_ASSIGN(const Owner owner, owner_of(transaction, limit.owner));
  // Holds off reservations until this limit counts them.
  FATHOM_ASSIGN(const Outcome held,
                transaction.sql.run(fmt::format("SELECT available FROM balances WHERE org = $1{}",
                                                transaction.sql.locking()),
                                    {owner.organisation}));
  FATHOM_ASSIGN(
      const Outcome old,
      transaction.sql.run("SELECT most FROM limits WHERE owner = $1 AND model = $2 AND kind = $3",
                          {limit.owner, limit.model, to_string(limit.kind)}));
  FATHOM_ASSIGN(
      const Outcome gone,
      transaction.sql.run("DELETE FROM limits WHERE owner = $1 AND model = $2 AND kind = $3",
                          {limit.owner, limit.model, to_string(limit.kind)}));
  if (limit.most >= 0) {
    const Time since = window_begin(limit.kind, transaction.now);
    FATHOM_ASSIGN(const int64_t used, in_use(transaction, owner, limit, since));
    FATHOM_ASSIGN(const Outcome made,
                  transaction.sql.run(
                      "INSERT INTO limits (owner, model, kind, level, most, since, used) VALUES "
                      "($1, $2, $3, $4, $5, $6, $7)",
                      {limit.owner, limit.model, to_string(limit.kind), owner.level, limit.most,
                       since, used}));
  }
  return record(transaction,
                {.actor = actor,
                 .action = "limit.set",
                 .subject = limit.owner,
                 .before = old.rows.empty() ? "" : limit_json(limit, number(old.rows[0][0])),
                 .after = limit.most < 0 ? "" : limit_json(limit, limit.most)});
}

Result<std::vector<Limit>> limits_of(Transaction& transaction, const std::string& owner) {
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run("SELECT owner, model, kind, most FROM limits WHERE owner = $1 "
                                    "ORDER BY model, kind",
                                    {owner}));
  std::vector<Limit> limits;
  for (const Row& row : found.rows) {
    FATHOM_ASSIGN(Limit one, limit_of(row[0], row[1], row[2], row[3]));
    limits.push_back(std::move(one));
  }
  return limits;
}

Result<std::vector<LimitState>> limits_met(Transaction& transaction, const Counted& counted) {
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run(
                    fmt::format("SELECT owner, model, kind, most, level, since, used FROM limits "
                                "WHERE {} ORDER BY owner, model, kind",
                                kMet),
                    {counted.organisation, counted.project, counted.key, counted.model}));
  std::vector<LimitState> states;
  for (const Row& row : found.rows) {
    LimitState state;
    FATHOM_ASSIGN(state.limit, limit_of(row[0], row[1], row[2], row[3]));
    state.level = text(row[4]);
    // What was used in a window that is over is no longer.
    const bool runs = number(row[5]) >= window_begin(state.limit.kind, counted.at);
    state.used = runs ? number(row[6]) : 0;
    state.resets = window_end(state.limit.kind, counted.at);
    states.push_back(std::move(state));
  }
  return states;
}

Status count_new(Transaction& transaction, const Counted& counted, const LimitUse& use) {
  const auto done = transaction.sql.run(
      fmt::format(
          "UPDATE limits SET used = CASE WHEN since >= {0} THEN used ELSE 0 END + {1}, since "
          "= CASE WHEN since >= {0} THEN since ELSE {0} END WHERE {2}",
          kWindow, kAdded, kMet),
      values_of(counted, use));
  if (!done) return done.error();
  return {};
}

Status correct(Transaction& transaction, const Counted& counted, const LimitUse& use) {
  const auto done =
      transaction.sql.run(fmt::format("UPDATE limits SET used = used + {} WHERE {} AND since = {}",
                                      kAdded, kMet, kWindow),
                          values_of(counted, use));
  if (!done) return done.error();
  return {};
}

}  // namespace fathom::ledger
