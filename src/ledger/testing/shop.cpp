#include "ledger/testing/shop.h"

#include <unistd.h>

#include <cstdlib>

#include "ledger/books/check.h"
#include "ledger/books/price_list.h"
#include "ledger/tenants/ids.h"
#include "ledger/tenants/tenants.h"
#include "ledger/testing/postgres_server.h"

namespace fathom::ledger {

namespace fs = std::filesystem;

ShopFolder::ShopFolder() {
  std::string name = "/tmp/fathom-shop-XXXXXX";
  if (mkdtemp(name.data()) != nullptr) path_ = name;
}

ShopFolder::~ShopFolder() {
  std::error_code failed;
  fs::remove_all(path_, failed);
}

void Shop::SetUp() {
  where_ = GetParam() == "postgres" ? PostgresServer::instance().new_database()
                                    : (folder_.path() / "shop.db").string();
  ASSERT_FALSE(where_.empty());
  open_store();
  auto org = write<std::string>([](auto& t) { return create_organisation(t, kActor, "Acme"); });
  ASSERT_TRUE(org) << org.error().message;
  org_ = *org;
  auto project =
      write<std::string>([this](auto& t) { return create_project(t, kActor, org_, "search"); });
  ASSERT_TRUE(project) << project.error().message;
  project_ = *project;
  auto key =
      write<NewKey>([this](auto& t) { return create_key(t, kActor, project_, {.name = "web"}); });
  ASSERT_TRUE(key) << key.error().message;
  key_ = *key;
  auto price = write<Price>([](auto& t) {
    // A micro a token, and less for what is cached.
    return set_price(t, kActor, "v3", {.base = {100'000, 1'000'000, 2'000'000}}, 0);
  });
  ASSERT_TRUE(price) << price.error().message;
  ASSERT_TRUE(renew());
}

void Shop::open_store() {
  store_.reset();
  StoreOptions options;
  options.worker.store_clock = [this] { return now_.load(); };
  options.worker.own_clock = [this] { return now_ + ahead_; };
  auto opened = Store::open(where_, options);
  ASSERT_TRUE(opened) << opened.error().message;
  store_ = std::move(*opened);
}

Reservation Shop::reservation(const std::string& id, int64_t prompt, int64_t completion) const {
  return {.id = id,
          .client_id = "",
          .gateway = "gw",
          .key = key_.id,
          .model = "v3",
          .prompt = prompt,
          .completion = completion};
}

Result<Reserved> Shop::reserve_now(const Reservation& wanted) {
  return write<Reserved>([&](auto& t) { return reserve(t, wanted); });
}

Result<Settled> Shop::settle_now(const std::string& id, const Tokens& used) {
  return write<Settled>([&](auto& t) { return settle(t, id, used); });
}

Status Shop::release_now(const std::string& id) {
  return write<void>([&](auto& t) { return release(t, id); });
}

Status Shop::credit(Micros micros, const std::string& key) {
  auto done = write<Granted>([&](auto& t) {
    return grant(
        t, kActor,
        {.organisation = org_, .micros = micros, .reason = "test", .idempotency_key = key});
  });
  if (!done) return done.error();
  return {};
}

Status Shop::renew(Time duration) {
  return write<void>([&](auto& t) { return renew_lease(t, "gw", duration); });
}

Status Shop::limit(const Limit& wanted) {
  return write<void>([&](auto& t) { return set_limit(t, kActor, wanted); });
}

Accounts Shop::accounts() {
  auto found = read<Accounts>([this](auto& t) { return accounts_of(t, org_); });
  EXPECT_TRUE(found) << found.error().message;
  return found ? *found : Accounts{};
}

std::vector<std::string> Shop::wrong() {
  auto found = read<std::vector<std::string>>([](auto& t) { return check_books(t); });
  if (!found) return {found.error().message};
  return *found;
}

std::string Shop::new_key_of_call() {
  return new_id("call");
}

}  // namespace fathom::ledger
