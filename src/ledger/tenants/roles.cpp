#include "ledger/tenants/roles.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>

namespace fathom::ledger {

namespace {

constexpr std::array<std::pair<Role, const char*>, 5> kNames = {{{Role::kOwner, "owner"},
                                                                 {Role::kAdmin, "admin"},
                                                                 {Role::kBilling, "billing"},
                                                                 {Role::kDeveloper, "developer"},
                                                                 {Role::kReadOnly, "read-only"}}};

bool among(Role role, std::initializer_list<Role> roles) {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

}  // namespace

bool allows(Role role, Action action) {
  using enum Role;
  switch (action) {
    case Action::kInfer:
      return among(role, {kOwner, kAdmin, kDeveloper});
    case Action::kReadUsage:
    case Action::kReadTenants:
      return true;
    case Action::kManageKeys:
      return among(role, {kOwner, kAdmin});
    case Action::kManageMoney:
    case Action::kManagePrices:
      return among(role, {kOwner, kBilling});
    case Action::kManageTenants:
      return role == kOwner;
    case Action::kReadAudit:
      return among(role, {kOwner, kAdmin});
  }
  return false;
}

const char* to_string(Role role) {
  for (const auto& [value, name] : kNames) {
    if (value == role) return name;
  }
  return "";
}

std::optional<Role> parse_role(std::string_view name) {
  for (const auto& [value, known] : kNames) {
    if (name == known) return value;
  }
  return std::nullopt;
}

}  // namespace fathom::ledger
