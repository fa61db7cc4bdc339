// What a model costs, at any time of day and year.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/money/money.h"

namespace fathom::ledger {

// Microseconds since 1970-01-01 UTC, by the store's clock.
using Time = int64_t;
inline constexpr Time kSecond = 1'000'000;
inline constexpr Time kMinute = 60 * kSecond;
inline constexpr Time kHour = 60 * kMinute;
inline constexpr Time kDay = 24 * kHour;

// Hours of some weekdays. Where `to` is not above `from` they end on the next day; the day on which
// they begin says which weekday, and whether it is a holiday.
struct Hours {
  uint8_t weekdays = 0;  // bit 0 is Monday
  int from = 0;          // minutes since local midnight, 0 to 1439
  int to = 0;            // exclusive, 0 to 1440
};

// Rates of their own for some hours.
struct Band {
  std::string name;
  Rates rates;
  std::vector<Hours> hours;
  bool on_holidays = false;  // whether hours that begin on a listed holiday count
};

// One version of a price. The first band that holds counts; where none does, `base`.
struct PriceTable {
  Rates base = {};
  int utc_offset_minutes = 0;  // local time is UTC and this; there is no summer time
  std::vector<std::chrono::sys_days> holidays = {};
  std::vector<Band> bands = {};
};

inline constexpr std::string_view kBaseBand = "base";

// The price that holds at `at`; `name` points into `table`, or is kBaseBand.
struct PriceAt {
  std::string_view name;
  Rates rates;
};
PriceAt price_at(const PriceTable& table, Time at);

// {"cached":N,"prompt":N,"completion":N,"utc_offset_minutes":N,"holidays":["YYYY-MM-DD"],"bands":
// [{"name":S,"cached":N,...,"on_holidays":B,"hours":[{"weekdays":[0 to 6],"from":"HH:MM",
// "to":"HH:MM"}]}]}; what follows "completion" may be missing. kInvalidArgument names the field.
Result<PriceTable> parse_price_table(std::string_view json);
std::string to_json(const PriceTable& table);

// 00:00 UTC of the first day of the month of `at`, and of the month after it.
Time month_begin(Time at);
Time next_month(Time at);

}  // namespace fathom::ledger
