// Names that answers carry: "chatcmpl-5f1c...".
#pragma once

#include <string>
#include <string_view>

namespace fathom::api {

// For names that also give access to what they name: from the system's random numbers.
std::string secret_id(std::string_view prefix);

// `prefix` and 24 random hexadecimal digits. Unique for all practical purposes, not secret.
std::string random_id(std::string_view prefix);

}  // namespace fathom::api
