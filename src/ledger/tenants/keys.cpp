#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ledger/tenants/ids.h"
#include "ledger/tenants/limits.h"
#include "ledger/tenants/tenants.h"

namespace fathom::ledger {

namespace {

using nlohmann::json;

constexpr size_t kMaxListed = 256;
constexpr const char* kColumns =
    "id, org, project, name, role, scopes, models, addresses, expires, revoked, created";

// Lists are stored as JSON, which they are checked to be.
std::vector<std::string> list(const Value& value) {
  const json parsed = json::parse(text(value), nullptr, false);
  return parsed.is_array() ? parsed.get<std::vector<std::string>>() : std::vector<std::string>();
}

Key key_of(const Row& row) {
  Key key;
  key.id = text(row[0]);
  key.organisation = text(row[1]);
  key.project = text(row[2]);
  key.spec = {.name = text(row[3]),
              // A role of a newer version may do the least.
              .role = parse_role(text(row[4])).value_or(Role::kReadOnly),
              .scopes = list(row[5]),
              .models = list(row[6]),
              .addresses = list(row[7]),
              .expires = number(row[8])};
  key.revoked = number(row[9]);
  key.created = number(row[10]);
  return key;
}

Status check(const KeySpec& spec) {
  FATHOM_TRY(check_text("name", spec.name, 256));
  for (const auto* values : {&spec.scopes, &spec.models, &spec.addresses}) {
    if (values->size() > kMaxListed) {
      return invalid_argument("key: expected lists of at most 256 values", "key");
    }
    for (const std::string& value : *values) FATHOM_TRY(check_text("key", value, 256));
  }
  if (spec.expires < 0) return invalid_argument("expires: expected a time, or 0", "expires");
  return {};
}

std::string spec_json(const Key& key) {
  return json({{"name", key.spec.name},
               {"role", to_string(key.spec.role)},
               {"scopes", key.spec.scopes},
               {"models", key.spec.models},
               {"addresses", key.spec.addresses},
               {"expires", key.spec.expires},
               {"revoked", key.revoked}})
      .dump();
}

}  // namespace

Result<NewKey> create_key(Transaction& transaction, const Actor& actor, const std::string& project,
                          const KeySpec& spec) {
  FATHOM_TRY(check(spec));
  Key key{.id = new_id("key"), .organisation = "", .project = "", .spec = spec};
  if (!project.empty()) {
    FATHOM_ASSIGN(key.project, find_project(transaction, project));
    FATHOM_ASSIGN(const Outcome owner,
                  transaction.sql.run("SELECT org FROM projects WHERE id = $1", {key.project}));
    key.organisation = text(owner.rows.at(0)[0]);
  }
  NewKey made{.id = key.id, .secret = new_secret()};
  FATHOM_ASSIGN(
      const Outcome done,
      transaction.sql.run(
          "INSERT INTO api_keys (id, hash, org, project, name, role, scopes, models, addresses, "
          "expires, revoked, created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11)",
          {key.id, sha256(made.secret), key.organisation, key.project, spec.name,
           to_string(spec.role), json(spec.scopes).dump(), json(spec.models).dump(),
           json(spec.addresses).dump(), spec.expires, transaction.now}));
  FATHOM_TRY(record(transaction, {.actor = actor,
                                  .action = "key.create",
                                  .subject = key.id,
                                  .before = "",
                                  .after = spec_json(key)}));
  if (spec.budget_a_month) {
    FATHOM_TRY(
        set_limit(transaction, actor,
                  {.owner = key.id, .kind = LimitKind::kBudget, .most = *spec.budget_a_month}));
  }
  return made;
}

Status revoke_key(Transaction& transaction, const Actor& actor, const std::string& id) {
  FATHOM_TRY(check_text("key", id, 256));
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run(fmt::format("SELECT {} FROM api_keys WHERE id = $1{}", kColumns,
                                                transaction.sql.locking()),
                                    {id}));
  if (found.rows.empty()) {
    return Error{ErrorCode::kNotFound, fmt::format("key: expected an id, got \"{}\"", id), "key"};
  }
  Key key = key_of(found.rows[0]);
  if (key.revoked != 0) return {};
  const std::string before = spec_json(key);
  key.revoked = transaction.now;
  FATHOM_ASSIGN(
      const Outcome done,
      transaction.sql.run("UPDATE api_keys SET revoked = $1 WHERE id = $2", {transaction.now, id}));
  return record(transaction, {.actor = actor,
                              .action = "key.revoke",
                              .subject = id,
                              .before = before,
                              .after = spec_json(key)});
}

Result<Key> find_key(Transaction& transaction, const std::string& secret) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run(fmt::format("SELECT {} FROM api_keys WHERE hash = $1", kColumns),
                          {sha256(secret)}));
  if (found.rows.empty()) {
    return Error{ErrorCode::kNotFound, "key: expected one of this store's, got another", "key"};
  }
  return key_of(found.rows[0]);
}

Result<std::vector<Key>> keys_of(Transaction& transaction, const std::string& organisation) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run(
          fmt::format("SELECT {} FROM api_keys WHERE org = $1 ORDER BY created, id", kColumns),
          {organisation}));
  std::vector<Key> keys;
  for (const Row& row : found.rows) keys.push_back(key_of(row));
  return keys;
}

Result<std::vector<std::string>> revoked_since(Transaction& transaction, Time since) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run("SELECT id FROM api_keys WHERE revoked >= $1 AND revoked > 0", {since}));
  std::vector<std::string> ids;
  for (const Row& row : found.rows) ids.push_back(text(row[0]));
  return ids;
}

Result<std::optional<NewKey>> first_admin_key(Transaction& transaction) {
  FATHOM_ASSIGN(const Outcome first,
                transaction.sql.run("INSERT INTO settings (name, value) VALUES ('first_admin_key', "
                                    "'made') ON CONFLICT (name) DO NOTHING"));
  if (first.changed == 0) return std::optional<NewKey>();
  FATHOM_ASSIGN(NewKey made, create_key(transaction, {.author = "start", .address = ""}, "",
                                        {.name = "first admin key", .role = Role::kOwner}));
  return std::optional<NewKey>(std::move(made));
}

}  // namespace fathom::ledger
