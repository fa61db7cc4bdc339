// Organisations, their projects, and the keys of these.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ledger/store/transaction.h"
#include "ledger/tenants/audit.h"
#include "ledger/tenants/roles.h"

namespace fathom::ledger {

// Each with its error where the name is taken or not text (kInvalidArgument) and where what it
// belongs to does not exist (kNotFound). They return the new id.
Result<std::string> create_organisation(Transaction& transaction, const Actor& actor,
                                        const std::string& name);
Result<std::string> create_project(Transaction& transaction, const Actor& actor,
                                   const std::string& organisation, const std::string& name);

// The id of what is given by its id or its name; a project's name must be the only one of its kind.
Result<std::string> find_organisation(Transaction& transaction, const std::string& id_or_name);
Result<std::string> find_project(Transaction& transaction, const std::string& id_or_name);

struct KeySpec {
  std::string name;
  Role role = Role::kDeveloper;
  // Each empty for all: what it may be used for, which models, and from which addresses
  // ("10.0.0.0/8"), which who asks compares.
  std::vector<std::string> scopes = {};
  std::vector<std::string> models = {};
  std::vector<std::string> addresses = {};
  Time expires = 0;                            // 0 for never
  std::optional<int64_t> budget_a_month = {};  // micros; a limit as others are
};

struct Key {
  std::string id;
  std::string organisation;  // "" for a key of the whole store
  std::string project;
  KeySpec spec;  // the budget is among the limits
  Time revoked = 0;
  Time created = 0;
};

// The one time that the secret is seen.
struct NewKey {
  std::string id;
  std::string secret;
};
// `project` by id or name; "" makes a key of the whole store, for its operator.
Result<NewKey> create_key(Transaction& transaction, const Actor& actor, const std::string& project,
                          const KeySpec& spec);

// Revoking again changes nothing.
Status revoke_key(Transaction& transaction, const Actor& actor, const std::string& id);

// kNotFound for a secret that is none; whether it is revoked or expired the caller sees.
Result<Key> find_key(Transaction& transaction, const std::string& secret);
Result<std::vector<Key>> keys_of(Transaction& transaction, const std::string& organisation);

// Ids of keys revoked at `since` or later, for gateways that cut their streams.
Result<std::vector<std::string>> revoked_since(Transaction& transaction, Time since);

// The store's first key, of its operator: nothing if there is one. Of several gateways that ask at
// once, one gets it.
Result<std::optional<NewKey>> first_admin_key(Transaction& transaction);

}  // namespace fathom::ledger
