// Names that answers carry: "chatcmpl-5f1c...".
#pragma once

#include <string>
#include <string_view>

namespace fathom::api {

// `prefix` and 24 random hexadecimal digits. Unique for all practical purposes, not secret.
std::string random_id(std::string_view prefix);

}  // namespace fathom::api
