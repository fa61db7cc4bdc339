#include "ledger/tenants/tenants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "ledger/tenants/ids.h"
#include "ledger/tenants/limits.h"
#include "ledger/testing/shop.h"

namespace fathom::ledger {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class Tenants : public Shop {};

TEST_P(Tenants, KeysAreFoundByTheirSecretAlone) {
  EXPECT_EQ(key_.secret.size(), 3u + 64u);
  const auto found = read<Key>([this](auto& t) { return find_key(t, key_.secret); });
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->id, key_.id);
  EXPECT_EQ(found->organisation, org_);
  EXPECT_EQ(found->project, project_);
  EXPECT_EQ(found->spec.role, Role::kDeveloper);
  EXPECT_FALSE(read<Key>([](auto& t) { return find_key(t, new_secret()); }));
  const auto stored =
      read<Outcome>([](auto& t) { return t.sql.run("SELECT hash, id FROM api_keys"); });
  EXPECT_EQ(text(stored->rows.at(0)[0]), sha256(key_.secret));
}

TEST_P(Tenants, KeysKeepWhatTheyMay) {
  const KeySpec spec{.name = "narrow",
                     .role = Role::kBilling,
                     .scopes = {"chat"},
                     .models = {"v3", "r1"},
                     .addresses = {"10.0.0.0/8"},
                     .expires = now_ + kDay,
                     .budget_a_month = 77};
  const auto made = write<NewKey>([&](auto& t) { return create_key(t, kActor, "search", spec); });
  ASSERT_TRUE(made) << made.error().message;
  const auto found = read<Key>([&](auto& t) { return find_key(t, made->secret); });
  EXPECT_EQ(found->spec.role, Role::kBilling);
  EXPECT_EQ(found->spec.scopes, spec.scopes);
  EXPECT_EQ(found->spec.models, spec.models);
  EXPECT_EQ(found->spec.addresses, spec.addresses);
  EXPECT_EQ(found->spec.expires, spec.expires);
  const auto limits = read<std::vector<Limit>>([&](auto& t) { return limits_of(t, made->id); });
  ASSERT_EQ(limits->size(), 1u);
  EXPECT_EQ((*limits)[0].most, 77);
  EXPECT_EQ((*limits)[0].kind, LimitKind::kBudget);
}

TEST_P(Tenants, RevokedKeysAreToldToGateways) {
  ASSERT_TRUE(write<void>([this](auto& t) { return revoke_key(t, kActor, key_.id); }));
  ASSERT_TRUE(write<void>([this](auto& t) { return revoke_key(t, kActor, key_.id); }));
  const auto since = [this](Time at) {
    return *read<std::vector<std::string>>([at](auto& t) { return revoked_since(t, at); });
  };
  EXPECT_THAT(since(now_), ElementsAre(key_.id));
  EXPECT_TRUE(since(now_ + 1).empty());
  EXPECT_EQ(write<void>([](auto& t) { return revoke_key(t, kActor, "key_x"); }).error().code,
            ErrorCode::kNotFound);
}

TEST_P(Tenants, TheFirstAdminKeyIsMadeOnce) {
  const auto first = [](auto& t) { return first_admin_key(t); };
  const auto made = write<std::optional<NewKey>>(first);
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(*made);
  EXPECT_FALSE(*write<std::optional<NewKey>>(first));
  const auto found = read<Key>([&](auto& t) { return find_key(t, (*made)->secret); });
  EXPECT_EQ(found->spec.role, Role::kOwner);
  EXPECT_EQ(found->organisation, "");
}

TEST_P(Tenants, TextsAreStoredAsTheyAre) {
  const std::string texts[] = {"'; DROP TABLE api_keys; --", "$1 ?1 :a @b", "\\', \\\\",
                               "Zoë 日本 \xF0\x9F\x98\x80", "%_*"};
  for (const std::string& name : texts) {
    const auto org =
        write<std::string>([&](auto& t) { return create_organisation(t, kActor, name); });
    ASSERT_TRUE(org) << org.error().message;
    const auto found = read<std::string>([&](auto& t) { return find_organisation(t, name); });
    EXPECT_EQ(*found, *org);
    const auto granted = write<Granted>([&](auto& t) {
      return grant(t, {.author = name, .address = name},
                   {.organisation = *org, .micros = 1, .reason = name, .idempotency_key = name});
    });
    ASSERT_TRUE(granted) << granted.error().message;
    const auto entries =
        read<std::vector<Entry>>([&](auto& t) { return entries_of(t, *org, 0, 10); });
    ASSERT_EQ(entries->size(), 1u);
    EXPECT_EQ((*entries)[0].reason, name);
    EXPECT_EQ((*entries)[0].author, name);
    EXPECT_FALSE(write<std::string>([&](auto& t) { return create_organisation(t, kActor, name); }));
  }
  for (const std::string& bad : {std::string(), std::string("a\0b", 3), std::string("\xFF"),
                                 std::string("a\nb"), std::string(257, 'x')}) {
    const auto refused =
        write<std::string>([&](auto& t) { return create_organisation(t, kActor, bad); });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST_P(Tenants, ProjectsOfOneNameNeedTheirId) {
  const auto other =
      write<std::string>([](auto& t) { return create_organisation(t, kActor, "Other"); });
  ASSERT_TRUE(
      write<std::string>([&](auto& t) { return create_project(t, kActor, *other, "search"); }));
  const auto found = read<std::string>([](auto& t) { return find_project(t, "search"); });
  EXPECT_THAT(found.error().message, HasSubstr("expected an id"));
  EXPECT_TRUE(read<std::string>([this](auto& t) { return find_project(t, project_); }));
}

TEST_P(Tenants, TheAuditLogSaysWhoDidWhat) {
  ASSERT_TRUE(credit(100));
  ASSERT_TRUE(write<void>([this](auto& t) { return revoke_key(t, kActor, key_.id); }));
  const auto lines = read<std::vector<AuditLine>>([](auto& t) { return audit_log(t, 0, 100); });
  std::vector<std::string> actions;
  for (const AuditLine& line : *lines) {
    actions.push_back(line.action);
    EXPECT_EQ(line.actor.author, kActor.author);
    EXPECT_EQ(line.actor.address, kActor.address);
    EXPECT_THAT(line.before + line.after, Not(HasSubstr(key_.secret.substr(3))));
  }
  EXPECT_THAT(actions, ElementsAre("org.create", "project.create", "key.create", "price.set",
                                   "balance.credit", "key.revoke"));
  EXPECT_THAT(lines->at(4).before, HasSubstr("\"available_micros\":0"));
  EXPECT_THAT(lines->at(4).after, HasSubstr("\"available_micros\":100"));
}

TEST_P(Tenants, AdjustmentsMayTakeWhatIsAvailable) {
  ASSERT_TRUE(credit(100));
  const auto adjust = [this](Micros micros) {
    return write<Granted>([&](auto& t) {
      return grant(t, kActor,
                   {.organisation = org_,
                    .kind = GrantKind::kAdjustment,
                    .micros = micros,
                    .reason = "r",
                    .idempotency_key = new_key_of_call()});
    });
  };
  EXPECT_TRUE(adjust(-60));
  EXPECT_EQ(adjust(-41).error().where, "micros");
  EXPECT_EQ(adjust(0).error().where, "micros");
  EXPECT_TRUE(adjust(5));
  EXPECT_EQ(accounts(), (Accounts{.available = 45, .cash = -100, .adjustments = 55}));
  EXPECT_TRUE(wrong().empty());
}

TEST(Roles, EachActionHasItsRoles) {
  const Role all[] = {Role::kOwner, Role::kAdmin, Role::kBilling, Role::kDeveloper,
                      Role::kReadOnly};
  const auto who = [&](Action action) {
    std::string names;
    for (const Role role : all) names += allows(role, action) ? to_string(role)[0] : '-';
    return names;
  };
  EXPECT_EQ(who(Action::kInfer), "oa-d-");
  EXPECT_EQ(who(Action::kReadUsage), "oabdr");
  EXPECT_EQ(who(Action::kReadTenants), "oabdr");
  EXPECT_EQ(who(Action::kManageKeys), "oa---");
  EXPECT_EQ(who(Action::kManageMoney), "o-b--");
  EXPECT_EQ(who(Action::kManagePrices), "o-b--");
  EXPECT_EQ(who(Action::kManageTenants), "o----");
  EXPECT_EQ(who(Action::kReadAudit), "oa---");
  for (const Role role : all) EXPECT_EQ(parse_role(to_string(role)), role);
  EXPECT_FALSE(parse_role("root"));
}

INSTANTIATE_TEST_SUITE_P(Stores, Tenants, testing::Values("sqlite", "postgres"), store_name);

}  // namespace
}  // namespace fathom::ledger
