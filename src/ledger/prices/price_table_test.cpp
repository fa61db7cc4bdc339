#include "ledger/prices/price_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fathom::ledger {
namespace {

using testing::HasSubstr;

constexpr const char* kDeepSeek = R"({
  "cached": 100, "prompt": 1000, "completion": 2000,
  "utc_offset_minutes": 480, "holidays": ["2026-10-01"],
  "bands": [
    {"name": "peak", "cached": 200, "prompt": 2000, "completion": 4000, "hours": [
      {"weekdays": [0,1,2,3,4], "from": "09:00", "to": "12:00"},
      {"weekdays": [0,1,2,3,4], "from": "14:00", "to": "18:00"}]},
    {"name": "night", "cached": 50, "prompt": 500, "completion": 1000, "on_holidays": true,
     "hours": [{"weekdays": [4], "from": "22:00", "to": "02:00"}]}]})";

// Microseconds of a moment in Beijing.
Time beijing(int year, unsigned month, unsigned day, int hour, int minute) {
  using namespace std::chrono;
  const sys_days date{std::chrono::year(year) / month / day};
  return date.time_since_epoch().count() * kDay + (hour - 8) * kHour + minute * kMinute;
}

// 2026-11-30 is a Monday.
TEST(PriceTable, SaysDeepSeeksPeakAndOffPeak) {
  const auto table = parse_price_table(kDeepSeek);
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(price_at(*table, beijing(2026, 11, 30, 9, 0)).name, "peak");
  EXPECT_EQ(price_at(*table, beijing(2026, 11, 30, 11, 59)).name, "peak");
  EXPECT_EQ(price_at(*table, beijing(2026, 11, 30, 12, 0)).name, "base");
  EXPECT_EQ(price_at(*table, beijing(2026, 11, 30, 8, 59)).name, "base");
  EXPECT_EQ(price_at(*table, beijing(2026, 11, 30, 17, 59)).rates.prompt, 2000);
  EXPECT_EQ(price_at(*table, beijing(2026, 11, 29, 10, 0)).name, "base") << "a Sunday";
  EXPECT_EQ(price_at(*table, beijing(2026, 10, 1, 10, 0)).name, "base") << "a holiday";
}

TEST(PriceTable, HoursThatCrossMidnightBelongToTheDayTheyBegin) {
  const auto table = parse_price_table(kDeepSeek);
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(price_at(*table, beijing(2026, 12, 4, 22, 0)).name, "night") << "a Friday";
  EXPECT_EQ(price_at(*table, beijing(2026, 12, 5, 1, 59)).name, "night");
  EXPECT_EQ(price_at(*table, beijing(2026, 12, 5, 2, 0)).name, "base");
  EXPECT_EQ(price_at(*table, beijing(2026, 12, 4, 1, 0)).name, "base") << "Thursday's night";
  EXPECT_EQ(price_at(*table, beijing(2026, 12, 5, 22, 30)).name, "base") << "Saturday's";
}

TEST(PriceTable, IsTheSameAfterItWasWritten) {
  const auto table = parse_price_table(kDeepSeek);
  ASSERT_TRUE(table);
  const std::string written = to_json(*table);
  const auto again = parse_price_table(written);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(to_json(*again), written);
}

TEST(PriceTable, ErrorsNameTheField) {
  const auto why = [](const char* text) {
    const auto parsed = parse_price_table(text);
    return parsed ? std::string() : parsed.error().message;
  };
  EXPECT_THAT(why("{"), HasSubstr("expected JSON"));
  EXPECT_THAT(why("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(why(R"({"cached":1,"prompt":2})"), HasSubstr("price.completion"));
  EXPECT_THAT(why(R"({"cached":1,"prompt":2.5,"completion":3})"), HasSubstr("price.prompt"));
  EXPECT_THAT(why(R"({"cached":-1,"prompt":2,"completion":3})"), HasSubstr("price.cached"));
  EXPECT_THAT(why(R"({"cached":18446744073709551615,"prompt":2,"completion":3})"),
              HasSubstr("price.cached"));
  EXPECT_THAT(why(R"({"cached":1,"prompt":2,"completion":3,"x":1})"), HasSubstr("price.x"));
  EXPECT_THAT(why(R"({"cached":1,"prompt":2,"completion":3,"holidays":["2026-02-30"]})"),
              HasSubstr("price.holidays[0]"));
  EXPECT_THAT(why(R"({"cached":1,"prompt":2,"completion":3,"bands":[{"name":"a","cached":1,)"
                  R"("prompt":2,"completion":3,"hours":[{"weekdays":[7],"from":"00:00",)"
                  R"("to":"24:00"}]}]})"),
              HasSubstr("price.bands[0].hours[0].weekdays"));
  EXPECT_THAT(why(R"({"cached":1,"prompt":2,"completion":3,"bands":[{"name":"a","cached":1,)"
                  R"("prompt":2,"completion":3,"hours":[{"weekdays":[1],"from":"9:00",)"
                  R"("to":"24:00"}]}]})"),
              HasSubstr("price.bands[0].hours[0].from"));
}

TEST(PriceTable, MonthsBeginAtMidnightUtc) {
  using namespace std::chrono;
  const auto at = [](sys_days day) { return day.time_since_epoch().count() * kDay; };
  const Time moment = at(sys_days{2026y / 12 / 31}) + 23 * kHour;
  EXPECT_EQ(month_begin(moment), at(sys_days{2026y / 12 / 1}));
  EXPECT_EQ(next_month(moment), at(sys_days{2027y / 1 / 1}));
}

}  // namespace
}  // namespace fathom::ledger
