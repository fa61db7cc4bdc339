// A store with a tenant, a key and a price, on SQLite or PostgreSQL, and a clock that tests set.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ledger/books/grants.h"
#include "ledger/books/requests.h"
#include "ledger/store/store.h"
#include "ledger/tenants/tenants.h"

namespace fathom::ledger {

// A folder that goes with the test.
class ShopFolder {
 public:
  ShopFolder();
  ~ShopFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline const Actor kActor{.author = "key_test", .address = "127.0.0.1"};
inline constexpr Time kShopOpens = 1'790'000'000 * kSecond;  // 2026-09-21 14:13:20 UTC, a Monday

class Shop : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override;

  void open_store();
  template <typename T>
  Result<T> write(typename JobOf<T>::Work work) {
    return store_->write_and_wait<T>(org_, std::move(work));
  }
  template <typename T>
  Result<T> read(typename JobOf<T>::Work work) {
    return store_->read_and_wait<T>(std::move(work));
  }

  Reservation reservation(const std::string& id, int64_t prompt, int64_t completion) const;
  Result<Reserved> reserve_now(const Reservation& wanted);
  Result<Reserved> reserve_now(const std::string& id, int64_t prompt = 10,
                               int64_t completion = 10) {
    return reserve_now(reservation(id, prompt, completion));
  }
  Result<Settled> settle_now(const std::string& id, const Tokens& used);
  Status release_now(const std::string& id);
  Status credit(Micros micros, const std::string& key = new_key_of_call());
  Status renew(Time duration = kHour);
  Status limit(const Limit& wanted);
  Accounts accounts();
  std::vector<std::string> wrong();  // what the books have to say
  static std::string new_key_of_call();

  ShopFolder folder_;
  std::string where_;
  std::atomic<Time> now_{kShopOpens};
  std::atomic<Time> ahead_{0};  // this machine's clock before the store's
  std::unique_ptr<Store> store_;
  std::string org_;
  std::string project_;
  NewKey key_;
};

// Of the suites' instances.
inline std::string store_name(const testing::TestParamInfo<std::string>& info) {
  return info.param;
}

}  // namespace fathom::ledger
