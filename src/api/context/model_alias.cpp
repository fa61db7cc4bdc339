#include "api/context/model_alias.h"

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
  if (alias.name.empty()) return wrong("NAME[=MODEL][,thinking=on|off][,sampling=request|default]");
  if (equals != names.npos && names.substr(equals + 1) != model) {
    return wrong(
        fmt::format("the served model ({}) after =, got {}", model, names.substr(equals + 1)));
  }
  std::optional<bool> at_default;
  for (size_t begin = comma; begin != text.npos;) {
    const size_t end = text.find(',', begin + 1);
    const std::string_view setting = text.substr(begin + 1, end - begin - 1);
    if (!alias.thinking && (setting == "thinking=on" || setting == "thinking=off")) {
      alias.thinking = setting == "thinking=on";
    } else if (!at_default && (setting == "sampling=default" || setting == "sampling=request")) {
      at_default = setting == "sampling=default";
    } else {
      return wrong(fmt::format(
          "thinking=on or thinking=off, sampling=default or sampling=request, each once, got {}",
          setting));
    }
    begin = end;
  }
  alias.thinks_at_default = at_default.value_or(false);
  return alias;
}

}  // namespace fathom::api
