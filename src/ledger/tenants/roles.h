// What the holder of a key may do.
#pragma once

#include <optional>
#include <string_view>

namespace fathom::ledger {

enum class Role { kOwner, kAdmin, kBilling, kDeveloper, kReadOnly };

enum class Action {
  kInfer,          // requests that cost
  kReadUsage,      // usage, balance, entries, invoices
  kReadTenants,    // organisations, projects, keys (never secrets), limits, prices
  kManageKeys,     // make and revoke keys and projects, set limits
  kManageMoney,    // credit, refund, adjustment
  kManagePrices,   // prices
  kManageTenants,  // make organisations
  kReadAudit,
};

bool allows(Role role, Action action);

// "owner", "admin", "billing", "developer", "read-only".
const char* to_string(Role role);
std::optional<Role> parse_role(std::string_view name);

}  // namespace fathom::ledger
