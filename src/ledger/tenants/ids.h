// Names of rows, secrets, and what texts may be.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom::ledger {

// PREFIX_ and 128 random bits in hexadecimal digits.
std::string new_id(std::string_view prefix);

// "sk-" and 256 random bits in hexadecimal digits.
std::string new_secret();

// SHA-256 in hexadecimal digits.
std::string sha256(std::string_view bytes);

// kInvalidArgument unless `text` is UTF-8 without control characters, of 1 to `most` bytes.
Status check_text(const char* field, std::string_view text, size_t most);

}  // namespace fathom::ledger
