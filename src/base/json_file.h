// JSON from outside: parsed without trusting its depth or size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom {

// Depth of nesting outside strings; cheaper and safer than finding out by recursing.
int json_nesting(std::string_view text);
// Pairs of keys within the same object, added up over all objects. Nesting deeper than 64 is
// counted as if it were 64 deep.
uint64_t json_key_pairs(std::string_view text);

// `where` names the source in messages. Nesting deeper than 64 is refused.
Result<nlohmann::json> parse_json(std::string_view text, const std::string& where);

// Reads and parses a file of at most 256 MiB.
Result<nlohmann::json> read_json_file(const std::filesystem::path& path);

}  // namespace fathom
