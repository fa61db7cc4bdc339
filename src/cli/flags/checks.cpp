#include "cli/flags/checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "cli/flags/flag.h"

namespace fathom::cli {
namespace {

// The whole text as a number, or none.
template <typename Number>
std::optional<Number> parse_whole(const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stopped, failed] = std::from_chars(text.data(), end, value);
  if (failed != std::errc() || stopped != end) return std::nullopt;
  return value;
}

std::optional<int64_t> bytes_of(std::string text) {
  try {
    if (!CLI::AsSizeValue(true)(text).empty()) return std::nullopt;
  } catch (const CLI::ValidationError&) {
    return std::nullopt;
  }
  return parse_whole<int64_t>(text);
}

}  // namespace

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

CLI::Validator whole_number(int64_t low, int64_t high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        const auto value = parse_whole<int64_t>(text);
        if (!value || *value < low || *value > high) {
          return fmt::format("expected a whole number from {} to {}, got {}", low, high, text);
        }
        text = std::to_string(*value);  // CLI11 takes a leading 0 for octal
        return std::string();
      },
      "");
}

CLI::Validator number(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        const auto value = parse_whole<double>(text);
        if (value && *value >= low && *value <= high) return std::string();
        return fmt::format("expected a number from {} to {}, got {}", low, high, text);
      },
      "");
}

CLI::Validator one_of(std::vector<std::string> names) {
  std::string description = fmt::format("{{{}}}", fmt::join(names, ","));
  return CLI::Validator(
      [names = std::move(names)](std::string& text) {
        if (std::find(names.begin(), names.end(), text) != names.end()) return std::string();
        return fmt::format("expected {}, got {}", list_of(names), text);
      },
      std::move(description));
}

CLI::Option* takes_on_off(CLI::Option* flag) {
  return flag->type_name("ON|OFF")->transform(CLI::Validator(
      [](std::string& text) {
        const auto on = parse_switch(text);
        if (!on) return fmt::format("expected on or off, got {}", text);
        text = *on ? "on" : "off";
        return std::string();
      },
      "{on,off}"));
}

CLI::Option* takes_size(CLI::Option* flag, int64_t most) {
  return flag->type_name("SIZE")->transform(CLI::Validator(
      [most](std::string& text) {
        const auto bytes = bytes_of(text);
        if (!bytes || *bytes < 1 || *bytes > most) {
          return fmt::format("expected a size such as 64GB (10^9) or 64GiB (2^30), got {}", text);
        }
        text = std::to_string(*bytes);
        return std::string();
      },
      ""));
}

}  // namespace fathom::cli
