#include "ledger/store/schema.h"

#include <fmt/format.h>

#include <string>

namespace fathom::ledger {

namespace {

// Times are microseconds since 1970, amounts are micros; "" stands for none.
constexpr const char* kFirst = R"(
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE organisations (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created BIGINT NOT NULL);
CREATE TABLE projects (
  id TEXT PRIMARY KEY, org TEXT NOT NULL REFERENCES organisations(id), name TEXT NOT NULL,
  created BIGINT NOT NULL, UNIQUE (org, name));
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, org TEXT NOT NULL, project TEXT NOT NULL,
  name TEXT NOT NULL, role TEXT NOT NULL, scopes TEXT NOT NULL, models TEXT NOT NULL,
  addresses TEXT NOT NULL, expires BIGINT NOT NULL, revoked BIGINT NOT NULL,
  created BIGINT NOT NULL);
CREATE INDEX api_keys_revoked ON api_keys (revoked);
CREATE INDEX api_keys_org ON api_keys (org);
CREATE TABLE limits (
  owner TEXT NOT NULL, model TEXT NOT NULL, kind TEXT NOT NULL, level TEXT NOT NULL,
  most BIGINT NOT NULL, since BIGINT NOT NULL, used BIGINT NOT NULL,
  PRIMARY KEY (owner, model, kind));
CREATE TABLE prices (
  model TEXT NOT NULL, version BIGINT NOT NULL, valid_from BIGINT NOT NULL, body TEXT NOT NULL,
  created BIGINT NOT NULL, PRIMARY KEY (model, version));
CREATE TABLE gateways (id TEXT PRIMARY KEY, lease_end BIGINT NOT NULL);
CREATE TABLE requests (
  id TEXT PRIMARY KEY, client_id TEXT NOT NULL, gateway TEXT NOT NULL, org TEXT NOT NULL,
  project TEXT NOT NULL, api_key TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL,
  at BIGINT NOT NULL, closed BIGINT NOT NULL, prompt_most BIGINT NOT NULL,
  completion_most BIGINT NOT NULL, reserved BIGINT NOT NULL, price_version BIGINT NOT NULL,
  band TEXT NOT NULL, rate_cached BIGINT NOT NULL, rate_prompt BIGINT NOT NULL,
  rate_completion BIGINT NOT NULL, cached BIGINT NOT NULL, prompt BIGINT NOT NULL,
  completion BIGINT NOT NULL, charged BIGINT NOT NULL, written_off BIGINT NOT NULL);
CREATE INDEX requests_open ON requests (gateway) WHERE state = 'open';
CREATE INDEX requests_org ON requests (org, at);
CREATE INDEX requests_closed ON requests (closed);
CREATE TABLE balances (
  org TEXT PRIMARY KEY REFERENCES organisations(id), available BIGINT NOT NULL,
  reserved BIGINT NOT NULL, revenue BIGINT NOT NULL, cash BIGINT NOT NULL,
  adjustments BIGINT NOT NULL, written_off BIGINT NOT NULL,
  CHECK (available >= 0), CHECK (reserved >= 0),
  CHECK (available + reserved + revenue + cash + adjustments + written_off = 0));
CREATE TABLE entries (
  seq {identity}, at BIGINT NOT NULL, org TEXT NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,
  available BIGINT NOT NULL, reserved BIGINT NOT NULL, revenue BIGINT NOT NULL,
  cash BIGINT NOT NULL, adjustments BIGINT NOT NULL, written_off BIGINT NOT NULL,
  author TEXT NOT NULL, reason TEXT NOT NULL, UNIQUE (source, kind),
  CHECK (available + reserved + revenue + cash + adjustments + written_off = 0));
CREATE INDEX entries_org ON entries (org, seq);
CREATE TABLE grants (
  id TEXT PRIMARY KEY, org TEXT NOT NULL, idempotency_key TEXT NOT NULL, kind TEXT NOT NULL,
  micros BIGINT NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL, at BIGINT NOT NULL,
  UNIQUE (org, idempotency_key));
CREATE TABLE usage_hours (
  org TEXT NOT NULL, project TEXT NOT NULL, api_key TEXT NOT NULL, model TEXT NOT NULL,
  hour BIGINT NOT NULL, requests BIGINT NOT NULL, cached BIGINT NOT NULL, prompt BIGINT NOT NULL,
  completion BIGINT NOT NULL, charged BIGINT NOT NULL, written_off BIGINT NOT NULL,
  PRIMARY KEY (org, hour, api_key, model));
CREATE TABLE audit (
  seq {identity}, at BIGINT NOT NULL, author TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, subject TEXT NOT NULL, state_before TEXT NOT NULL,
  state_after TEXT NOT NULL);
)";

std::string with_types(std::string_view statements, std::string_view identity) {
  constexpr std::string_view kMark = "{identity}";
  std::string sql(statements);
  for (size_t at = sql.find(kMark); at != std::string::npos; at = sql.find(kMark, at)) {
    sql.replace(at, kMark.size(), identity);
  }
  return sql;
}

Status newer(int64_t version, int known) {
  return Error{ErrorCode::kUnsupported,
               fmt::format("store: expected tables of version {} or one that works with it, got "
                           "version {}: start a Fathom that is as new as the one that made them",
                           known, version)};
}

Status migrate_locked(Connection& connection, const std::vector<Migration>& steps) {
  FATHOM_TRY(connection.lock_schema());
  FATHOM_TRY(connection.control(
      "CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT PRIMARY KEY, oldest BIGINT NOT "
      "NULL)"));
  FATHOM_ASSIGN(const Outcome found,
                connection.run("SELECT version, oldest FROM schema_versions ORDER BY version DESC "
                               "LIMIT 1"));
  const int64_t version = found.rows.empty() ? 0 : number(found.rows[0][0]);
  const int known = steps.back().version;
  if (version > known) {
    if (number(found.rows[0][1]) > known) return newer(version, known);
    return {};
  }
  for (const Migration& step : steps) {
    if (step.version <= version) continue;
    FATHOM_TRY(connection.control(with_types(step.statements, connection.identity())));
    const auto recorded = connection.run("INSERT INTO schema_versions VALUES ($1, $2)",
                                         {int64_t{step.version}, int64_t{step.oldest}});
    if (!recorded) return recorded.error();
  }
  return {};
}

}  // namespace

const std::vector<Migration>& migrations() {
  static const std::vector<Migration> all = {{.version = 1, .oldest = 1, .statements = kFirst}};
  return all;
}

Status migrate(Connection& connection, const std::vector<Migration>& steps) {
  FATHOM_TRY(connection.begin_exclusive());
  Status done = migrate_locked(connection, steps);
  if (done) return connection.control("COMMIT");
  // The error that counts is the first one.
  if (auto undone = connection.control("ROLLBACK"); !undone) return done;
  return done;
}

}  // namespace fathom::ledger
