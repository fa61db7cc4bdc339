#include <algorithm>

#include "ledger/prices/price_table.h"

namespace fathom::ledger {

namespace {

using std::chrono::days;
using std::chrono::sys_days;

sys_days day_of(Time at) {
  return std::chrono::floor<days>(
      std::chrono::sys_time<std::chrono::microseconds>(std::chrono::microseconds(at)));
}

Time begin_of(sys_days day) {
  return static_cast<Time>(day.time_since_epoch().count()) * kDay;
}

// Whether `hours` hold at `minute` because they began on `day`, or `minute` minutes into the day
// after, as `next_day` says.
bool hold(const PriceTable& table, const Band& band, const Hours& hours, sys_days day, int minute,
          bool next_day) {
  const unsigned weekday = std::chrono::weekday(day).iso_encoding() - 1;
  if ((hours.weekdays >> weekday & 1) == 0) return false;
  if (!band.on_holidays &&
      std::find(table.holidays.begin(), table.holidays.end(), day) != table.holidays.end()) {
    return false;
  }
  const bool crosses = hours.to <= hours.from;
  if (next_day) return crosses && minute < hours.to;
  return minute >= hours.from && (crosses || minute < hours.to);
}

}  // namespace

PriceAt price_at(const PriceTable& table, Time at) {
  const Time local = at + table.utc_offset_minutes * kMinute;
  const sys_days today = day_of(local);
  const int minute = static_cast<int>((local - begin_of(today)) / kMinute);
  for (const Band& band : table.bands) {
    for (const Hours& hours : band.hours) {
      if (hold(table, band, hours, today, minute, false) ||
          hold(table, band, hours, today - days(1), minute, true)) {
        return {band.name, band.rates};
      }
    }
  }
  return {kBaseBand, table.base};
}

Time month_begin(Time at) {
  const std::chrono::year_month_day date(day_of(at));
  return begin_of(sys_days(date.year() / date.month() / 1));
}

Time next_month(Time at) {
  const std::chrono::year_month_day date(day_of(at));
  return begin_of(sys_days((date.year() / date.month() + std::chrono::months(1)) / 1));
}

}  // namespace fathom::ledger
