#include "ledger/tenants/tenants.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ledger/tenants/ids.h"

namespace fathom::ledger {

namespace {

constexpr size_t kMaxName = 256;

Error unknown(const char* what, const std::string& name) {
  return {ErrorCode::kNotFound,
          fmt::format("expected the id or name of {}, got \"{}\"", what, name), what};
}

Error taken(const char* what, const std::string& name) {
  return invalid_argument(
      fmt::format("{}: expected a name that is not taken, got \"{}\"", what, name), "name");
}

std::string name_json(const std::string& name) {
  return nlohmann::json({{"name", name}}).dump();
}

}  // namespace

Result<std::string> create_organisation(Transaction& transaction, const Actor& actor,
                                        const std::string& name) {
  FATHOM_TRY(check_text("name", name, kMaxName));
  const std::string id = new_id("org");
  FATHOM_ASSIGN(const Outcome made,
                transaction.sql.run("INSERT INTO organisations (id, name, created) VALUES ($1, $2, "
                                    "$3) ON CONFLICT (name) DO NOTHING",
                                    {id, name, transaction.now}));
  if (made.changed == 0) return taken("organisation", name);
  FATHOM_ASSIGN(const Outcome balance,
                transaction.sql.run("INSERT INTO balances VALUES ($1, 0, 0, 0, 0, 0, 0)", {id}));
  FATHOM_TRY(record(transaction, {.actor = actor,
                                  .action = "org.create",
                                  .subject = id,
                                  .before = "",
                                  .after = name_json(name)}));
  return id;
}

Result<std::string> create_project(Transaction& transaction, const Actor& actor,
                                   const std::string& organisation, const std::string& name) {
  FATHOM_TRY(check_text("name", name, kMaxName));
  FATHOM_ASSIGN(const std::string org, find_organisation(transaction, organisation));
  const std::string id = new_id("proj");
  FATHOM_ASSIGN(
      const Outcome made,
      transaction.sql.run("INSERT INTO projects (id, org, name, created) VALUES ($1, $2, $3, $4) "
                          "ON CONFLICT (org, name) DO NOTHING",
                          {id, org, name, transaction.now}));
  if (made.changed == 0) return taken("project", name);
  FATHOM_TRY(record(transaction, {.actor = actor,
                                  .action = "project.create",
                                  .subject = id,
                                  .before = "",
                                  .after = name_json(name)}));
  return id;
}

Result<std::string> find_organisation(Transaction& transaction, const std::string& id_or_name) {
  FATHOM_TRY(check_text("organisation", id_or_name, kMaxName));
  // An id counts before a name that looks like one.
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run("SELECT id FROM organisations WHERE id = $1 OR name = $1 ORDER "
                                    "BY CASE WHEN id = $1 THEN 0 ELSE 1 END",
                                    {id_or_name}));
  if (found.rows.empty()) return unknown("an organisation", id_or_name);
  return text(found.rows[0][0]);
}

Result<std::string> find_project(Transaction& transaction, const std::string& id_or_name) {
  FATHOM_TRY(check_text("project", id_or_name, kMaxName));
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run("SELECT id FROM projects WHERE id = $1 OR name = $1 ORDER BY "
                                    "CASE WHEN id = $1 THEN 0 ELSE 1 END LIMIT 2",
                                    {id_or_name}));
  if (found.rows.empty()) return unknown("a project", id_or_name);
  if (found.rows.size() > 1 && text(found.rows[0][0]) != id_or_name) {
    return invalid_argument(
        fmt::format("project: expected an id, for several are called \"{}\"", id_or_name),
        "project");
  }
  return text(found.rows[0][0]);
}

}  // namespace fathom::ledger
