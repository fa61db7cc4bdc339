#include "api/schema/field.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace fathom::api {

namespace {

std::string range_text(const char* kind, double minimum, double maximum) {
  constexpr double kUnlimited = 1e15;
  if (minimum <= -kUnlimited && maximum >= kUnlimited) return kind;
  if (maximum >= kUnlimited) return fmt::format("{} of {:.10g} or more", kind, minimum);
  return fmt::format("{} from {:.10g} to {:.10g}", kind, minimum, maximum);
}

std::optional<int64_t> exact_integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return {};
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return {};
  const auto number = value.get<double>();
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::abs(number) > kExact || number != std::floor(number)) return {};
  return static_cast<int64_t>(number);
}

}  // namespace

Result<bool> read_bool(const Json& value, const std::string& path) {
  if (!value.is_boolean()) return expected(path, "a boolean", value);
  return value.get<bool>();
}

Result<std::string> read_string(const Json& value, const std::string& path) {
  if (!value.is_string()) return expected(path, "a string", value);
  return value.get<std::string>();
}

Result<int64_t> read_integer(const Json& value, const std::string& path, int64_t minimum,
                             int64_t maximum) {
  const std::optional<int64_t> number = exact_integer(value);
  if (!number || *number < minimum || *number > maximum) {
    return expected(
        path, range_text("an integer", static_cast<double>(minimum), static_cast<double>(maximum)),
        value);
  }
  return *number;
}

Result<double> read_number(const Json& value, const std::string& path, double minimum,
                           double maximum) {
  if (value.is_number()) {
    const auto number = value.get<double>();
    if (number >= minimum && number <= maximum) return number;
  }
  return expected(path, range_text("a number", minimum, maximum), value);
}

Error expected(const std::string& path, const std::string& what, const Json& got) {
  return invalid_argument(fmt::format("{}: expected {}, got {}", path, what, json_excerpt(got)),
                          path);
}

Error unsupported(const std::string& path, const std::string& message) {
  return {ErrorCode::kUnsupported, path + ": " + message, path};
}

std::string index_path(const std::string& path, size_t index) {
  return fmt::format("{}[{}]", path, index);
}

std::string key_path(const std::string& path, std::string_view key) {
  if (path.empty()) return shorten(key, 100);
  return fmt::format("{}.{}", path, shorten(key, 100));
}

const Json* find_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Status read_array(const Json& value, const std::string& path, size_t max_size,
                  const std::function<Status(const Json&, const std::string&)>& read) {
  if (!value.is_array()) return expected(path, "an array", value);
  if (value.size() > max_size) {
    return invalid_argument(
        fmt::format("{}: expected at most {} elements, got {}", path, max_size, value.size()),
        path);
  }
  for (size_t i = 0; i < value.size(); ++i) FATHOM_TRY(read(value[i], index_path(path, i)));
  return {};
}

}  // namespace fathom::api
