// Further names of the served model, as a command line gives them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom::api {

struct ModelAlias {
  std::string name;
  std::optional<bool> thinking = {};  // where a chat request does not say; else as the model
  // Whether requests that think ignore temperature, top_p, and the presence and frequency
  // penalties, as DeepSeek's API does.
  bool thinks_at_default = false;
};

// "NAME[=MODEL][,thinking=on|off][,sampling=request|default]", where MODEL may only be `model`, the
// one that is served.
Result<ModelAlias> parse_model_alias(std::string_view text, std::string_view model);

}  // namespace fathom::api
