#include "grammar/sources/json_format.h"

#include <array>
#include <utility>

namespace fathom::grammar {
namespace {

// RFC 3339. Years 0001 to 9999; 29 February in leap years only; no leap seconds.
const std::string kYear = "(?:000[1-9]|00[1-9]\\d|0[1-9]\\d\\d|[1-9]\\d{3})";
const std::string kLeapYear =
    "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)";
const std::string kDate = "(?:" + kYear +
                          "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|"
                          "(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))|" +
                          kLeapYear + "-02-29)";
const std::string kTime =
    "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const std::string kDuration =
    "P(?:\\d{1,6}W|(?:\\d{1,6}Y(?:\\d{1,6}M(?:\\d{1,6}D)?)?|\\d{1,6}M(?:\\d{1,6}D)?|\\d{1,6}D)"
    "(?:T(?:\\d{1,6}H(?:\\d{1,6}M(?:\\d{1,6}S)?)?|\\d{1,6}M(?:\\d{1,6}S)?|\\d{1,6}S))?|"
    "T(?:\\d{1,6}H(?:\\d{1,6}M(?:\\d{1,6}S)?)?|\\d{1,6}M(?:\\d{1,6}S)?|\\d{1,6}S))";
const std::string kByte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const std::string kIpv4 = "(?:" + kByte + "\\.){3}" + kByte;
const std::string kLabel = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
// At most three labels, so that a name stays within 253 characters whatever their lengths.
const std::string kHostname = kLabel + "(?:\\." + kLabel + "){0,2}";
const std::string kEmail =
    "[A-Za-z0-9_+-]{1,16}(?:\\.[A-Za-z0-9_+-]{1,16}){0,2}@" + kLabel + "(?:\\." + kLabel + "){1,2}";
const std::string kGroup = "[0-9A-Fa-f]{1,4}";
const std::string kUri =
    "(?:https?|ftp)://" + kHostname +
    "(?::[1-9]\\d{0,3})?(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*"
    "(?:\\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?(?:#[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?";

// All eight groups, or fewer with "::" in place of some.
std::string ipv6() {
  std::string pattern = "(?:(?:" + kGroup + ":){7}" + kGroup;
  for (int before = 0; before <= 6; ++before) {
    const std::string front =
        before == 0 ? ":" : "(?:" + kGroup + ":){" + std::to_string(before) + "}";
    pattern += "|" + front + ":(?:" + kGroup + "(?::" + kGroup + "){0," +
               std::to_string(6 - before) + "})?";
  }
  return pattern + ")";
}

const std::array<std::pair<std::string_view, std::string>, 10>& patterns() {
  static const std::array<std::pair<std::string_view, std::string>, 10> table = {{
      {"date-time", kDate + "T" + kTime},
      {"date", kDate},
      {"time", kTime},
      {"duration", kDuration},
      {"uuid", "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"},
      {"email", kEmail},
      {"hostname", kHostname},
      {"ipv4", kIpv4},
      {"ipv6", ipv6()},
      {"uri", kUri},
  }};
  return table;
}

}  // namespace

std::optional<std::string> format_pattern(std::string_view format) {
  for (const auto& [name, pattern] : patterns()) {
    if (name == format) return "^(?:" + pattern + ")$";
  }
  return std::nullopt;
}

std::string format_names() {
  std::string names;
  for (const auto& [name, pattern] : patterns()) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

}  // namespace fathom::grammar
