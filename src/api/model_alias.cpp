#include "api/model_alias.h"

#include <fmt/format.h>

namespace fathom::api {

Result<ModelAlias> parse_model_alias(std::string_view text, std::string_view model) {
  const auto wrong = [text](std::string_view expected) {
    return invalid_argument(fmt::format("alias {}: expected {}", text, expected), "alias");
  };
  const size_t comma = text.find(',');
  const std::string_view names = text.substr(0, comma);
  const size_t equals = names.find('=');
  ModelAlias alias{std::string(names.substr(0, equals))};
  if (alias.name.empty()) return wrong("NAME[=MODEL][,thinking=on|off]");
  if (equals != names.npos && names.substr(equals + 1) != model) {
    return wrong(
        fmt::format("the served model ({}) after =, got {}", model, names.substr(equals + 1)));
  }
  if (comma == text.npos) return alias;
  const std::string_view setting = text.substr(comma + 1);
  if (setting != "thinking=on" && setting != "thinking=off") {
    return wrong(fmt::format("thinking=on or thinking=off after the comma, got {}", setting));
  }
  alias.thinking = setting == "thinking=on";
  return alias;
}

}  // namespace fathom::api
