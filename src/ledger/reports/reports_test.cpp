#include "ledger/reports/reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/testing/shop.h"

namespace fathom::ledger {
namespace {

class Reports : public Shop {
 protected:
  void use(const std::string& id, const Tokens& used) {
    ASSERT_TRUE(renew());
    ASSERT_TRUE(reserve_now(id, 100, 100));
    ASSERT_TRUE(settle_now(id, used));
  }
};

TEST_P(Reports, UsageIsByKeyModelAndHour) {
  ASSERT_TRUE(credit(10'000));
  use("a", {.cached = 10, .prompt = 20, .completion = 30});
  use("b", {.prompt = 1});
  now_ += kHour;
  use("c", {.completion = 1});
  const auto hours = read<std::vector<UsageHour>>(
      [this](auto& t) { return usage(t, org_, kShopOpens - kDay, kShopOpens + kDay); });
  ASSERT_TRUE(hours) << hours.error().message;
  ASSERT_EQ(hours->size(), 2u);
  EXPECT_EQ((*hours)[0].hour, kShopOpens - kShopOpens % kHour);
  EXPECT_EQ((*hours)[0].key, key_.id);
  EXPECT_EQ((*hours)[0].requests, 2);
  EXPECT_EQ((*hours)[0].tokens, (Tokens{10, 21, 30}));
  EXPECT_EQ((*hours)[0].charged, 82);
  EXPECT_EQ((*hours)[1].charged, 2);
}

TEST_P(Reports, AnInvoiceIsOfAMonthAndStays) {
  ASSERT_TRUE(credit(10'000));
  use("a", {.prompt = 20});
  now_ = next_month(now_) - 1;
  use("b", {.prompt = 30});
  const auto of = [this](Time month) {
    return *read<Invoice>([&](auto& t) { return invoice(t, org_, month); });
  };
  const Invoice september = of(kShopOpens);
  ++now_;
  use("c", {.prompt = 7});
  ASSERT_TRUE(credit(5));
  const Invoice again = of(kShopOpens);
  EXPECT_EQ(again.charged, september.charged);
  EXPECT_EQ(again.balance, september.balance);
  ASSERT_EQ(again.lines.size(), 1u);
  EXPECT_EQ(again.lines[0].requests, 2);
  EXPECT_EQ(again.charged, 50);
  EXPECT_EQ(again.credited, 10'000);
  EXPECT_EQ(again.balance, 9950);
  const Invoice october = of(now_);
  EXPECT_EQ(october.charged, 7);
  EXPECT_EQ(october.credited, 5);
  EXPECT_EQ(october.balance, 9948);
}

TEST_P(Reports, RecordsAreForgottenAndSumsStay) {
  ASSERT_TRUE(credit(10'000));
  use("a", {.prompt = 20});
  ASSERT_TRUE(reserve_now("open", 1, 1));
  const auto records = read<std::vector<RequestRecord>>(
      [this](auto& t) { return requests_of(t, org_, now_ + 1, 10); });
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[0].used.prompt, 20);
  EXPECT_EQ((*records)[0].band, "base");
  now_ += kRecordsKept + 1;
  const auto forget = [this](auto& t) { return forget_records(t, now_ - kRecordsKept, 10); };
  EXPECT_EQ(*write<int64_t>(forget), 1) << "not the one that is open";
  EXPECT_EQ(*write<int64_t>(forget), 0);
  EXPECT_EQ(accounts().revenue, 20);
  EXPECT_TRUE(wrong().empty());
}

INSTANTIATE_TEST_SUITE_P(Stores, Reports, testing::Values("sqlite", "postgres"), store_name);

}  // namespace
}  // namespace fathom::ledger
