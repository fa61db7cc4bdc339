#include "ledger/prices/price_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>

namespace fathom::ledger {

namespace {

using nlohmann::json;
namespace chrono = std::chrono;

constexpr size_t kMaxHolidays = 4096;
constexpr size_t kMaxBands = 64;
constexpr int kMostOffset = 14 * 60;

Error wrong(const std::string& where, const char* expected) {
  return invalid_argument(fmt::format("price: {}: expected {}", where, expected), where);
}

Status only(const json& object, const std::string& where,
            std::initializer_list<std::string_view> names) {
  if (!object.is_object()) return wrong(where, "an object");
  for (const auto& item : object.items()) {
    if (std::find(names.begin(), names.end(), item.key()) == names.end()) {
      return wrong(where + "." + item.key(), "no such field");
    }
  }
  return {};
}

Result<int64_t> integer(const json& object, const std::string& where, const char* name, int64_t low,
                        int64_t high, std::optional<int64_t> otherwise = {}) {
  const auto found = object.find(name);
  if (found == object.end() && otherwise) return *otherwise;
  const std::string expected = fmt::format("an integer from {} to {}", low, high);
  if (found == object.end() || !found->is_number_integer()) {
    return wrong(where + "." + name, expected.c_str());
  }
  // An unsigned value above int64's reads as a negative one.
  const int64_t value = found->get<int64_t>();
  const bool too_large =
      found->is_number_unsigned() && found->get<uint64_t>() > static_cast<uint64_t>(kMaxRate);
  if (too_large || value < low || value > high) return wrong(where + "." + name, expected.c_str());
  return value;
}

Result<Rates> rates(const json& object, const std::string& where) {
  FATHOM_ASSIGN(const int64_t cached, integer(object, where, "cached", 0, kMaxRate));
  FATHOM_ASSIGN(const int64_t prompt, integer(object, where, "prompt", 0, kMaxRate));
  FATHOM_ASSIGN(const int64_t completion, integer(object, where, "completion", 0, kMaxRate));
  return Rates{cached, prompt, completion};
}

bool is_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<int> clock_minutes(const json& object, const std::string& where, const char* name) {
  const auto found = object.find(name);
  const Error error = wrong(where + "." + name, "a time from \"00:00\" to \"24:00\"");
  if (found == object.end() || !found->is_string()) return error;
  const std::string& text = found->get_ref<const std::string&>();
  if (text.size() != 5 || text[2] != ':') return error;
  if (!is_digits(text.substr(0, 2)) || !is_digits(text.substr(3))) return error;
  const int hour = (text[0] - '0') * 10 + text[1] - '0';
  const int minute = (text[3] - '0') * 10 + text[4] - '0';
  if (minute > 59 || hour * 60 + minute > 24 * 60) return error;
  return hour * 60 + minute;
}

Result<chrono::sys_days> date(const json& value, const std::string& where) {
  const Error error = wrong(where, "a date as \"2026-10-01\"");
  if (!value.is_string()) return error;
  const std::string& text = value.get_ref<const std::string&>();
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return error;
  const std::string digits = text.substr(0, 4) + text.substr(5, 2) + text.substr(8);
  if (!is_digits(digits)) return error;
  const int number = std::stoi(digits);
  const chrono::year_month_day day{chrono::year(number / 10000),
                                   chrono::month(static_cast<unsigned>(number / 100 % 100)),
                                   chrono::day(static_cast<unsigned>(number % 100))};
  if (!day.ok()) return error;
  return chrono::sys_days(day);
}

Result<Hours> hours(const json& object, const std::string& where) {
  FATHOM_TRY(only(object, where, {"weekdays", "from", "to"}));
  Hours parsed;
  FATHOM_ASSIGN(parsed.from, clock_minutes(object, where, "from"));
  FATHOM_ASSIGN(parsed.to, clock_minutes(object, where, "to"));
  if (parsed.from == 24 * 60) return wrong(where + ".from", "a time before \"24:00\"");
  const auto listed = object.find("weekdays");
  const Error error = wrong(where + ".weekdays", "a list of 0 (Monday) to 6 (Sunday)");
  if (listed == object.end() || !listed->is_array() || listed->empty()) return error;
  for (const json& day : *listed) {
    if (!day.is_number_unsigned() || day.get<uint64_t>() > 6) return error;
    parsed.weekdays |= static_cast<uint8_t>(1U << day.get<unsigned>());
  }
  return parsed;
}

Result<Band> band(const json& object, const std::string& where) {
  FATHOM_TRY(
      only(object, where, {"name", "cached", "prompt", "completion", "on_holidays", "hours"}));
  Band parsed;
  const auto name = object.find("name");
  if (name == object.end() || !name->is_string()) return wrong(where + ".name", "a string");
  parsed.name = name->get<std::string>();
  if (parsed.name.empty() || parsed.name.size() > 64 || parsed.name == kBaseBand) {
    return wrong(where + ".name", "1 to 64 bytes other than \"base\"");
  }
  FATHOM_ASSIGN(parsed.rates, rates(object, where));
  if (const auto flag = object.find("on_holidays"); flag != object.end()) {
    if (!flag->is_boolean()) return wrong(where + ".on_holidays", "true or false");
    parsed.on_holidays = flag->get<bool>();
  }
  const auto list = object.find("hours");
  if (list == object.end() || !list->is_array() || list->empty() || list->size() > kMaxBands) {
    return wrong(where + ".hours", "a list of 1 to 64 hours");
  }
  for (size_t i = 0; i < list->size(); ++i) {
    FATHOM_ASSIGN(Hours one, hours((*list)[i], fmt::format("{}.hours[{}]", where, i)));
    parsed.hours.push_back(one);
  }
  return parsed;
}

void put(json& object, const Rates& of) {
  object["cached"] = of.cached;
  object["prompt"] = of.prompt;
  object["completion"] = of.completion;
}

std::string clock_text(int minutes) {
  return fmt::format("{:02}:{:02}", minutes / 60, minutes % 60);
}

}  // namespace

Result<PriceTable> parse_price_table(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (object.is_discarded()) return wrong("price", "JSON");
  FATHOM_TRY(only(object, "price",
                  {"cached", "prompt", "completion", "utc_offset_minutes", "holidays", "bands"}));
  PriceTable table;
  FATHOM_ASSIGN(table.base, rates(object, "price"));
  FATHOM_ASSIGN(const int64_t offset,
                integer(object, "price", "utc_offset_minutes", -kMostOffset, kMostOffset, 0));
  table.utc_offset_minutes = static_cast<int>(offset);
  const json holidays = object.value("holidays", json::array());
  if (!holidays.is_array() || holidays.size() > kMaxHolidays) {
    return wrong("price.holidays", "a list of at most 4096 dates");
  }
  for (size_t i = 0; i < holidays.size(); ++i) {
    FATHOM_ASSIGN(chrono::sys_days day, date(holidays[i], fmt::format("price.holidays[{}]", i)));
    table.holidays.push_back(day);
  }
  const json bands = object.value("bands", json::array());
  if (!bands.is_array() || bands.size() > kMaxBands) {
    return wrong("price.bands", "a list of at most 64 bands");
  }
  for (size_t i = 0; i < bands.size(); ++i) {
    FATHOM_ASSIGN(Band one, band(bands[i], fmt::format("price.bands[{}]", i)));
    for (const Band& other : table.bands) {
      if (other.name == one.name) return wrong("price.bands", "names that differ");
    }
    table.bands.push_back(std::move(one));
  }
  return table;
}

std::string to_json(const PriceTable& table) {
  json object;
  put(object, table.base);
  object["utc_offset_minutes"] = table.utc_offset_minutes;
  object["holidays"] = json::array();
  for (const chrono::sys_days day : table.holidays) {
    const chrono::year_month_day of(day);
    object["holidays"].push_back(fmt::format("{:04}-{:02}-{:02}", static_cast<int>(of.year()),
                                             static_cast<unsigned>(of.month()),
                                             static_cast<unsigned>(of.day())));
  }
  object["bands"] = json::array();
  for (const Band& band : table.bands) {
    json one;
    one["name"] = band.name;
    put(one, band.rates);
    one["on_holidays"] = band.on_holidays;
    for (const Hours& hours : band.hours) {
      json weekdays = json::array();
      for (int day = 0; day < 7; ++day) {
        if (hours.weekdays >> day & 1) weekdays.push_back(day);
      }
      one["hours"].push_back(
          {{"weekdays", weekdays}, {"from", clock_text(hours.from)}, {"to", clock_text(hours.to)}});
    }
    object["bands"].push_back(one);
  }
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace fathom::ledger
