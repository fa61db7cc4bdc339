// Looking for several short texts in a stream that arrives bit by bit.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::api {

struct TextMatch {
  size_t begin;   // offset in bytes
  size_t needle;  // index of the text that was found
};

// The match that begins first; of several there the longest.
std::optional<TextMatch> find_first(std::string_view text, const std::vector<std::string>& needles);

// The length of the longest end of `text` that begins some needle without being all of it: what
// must be held back until more text is there.
size_t longest_partial_match(std::string_view text, const std::vector<std::string>& needles);

// Characters (code points) in well-formed UTF-8.
size_t count_characters(std::string_view text);

}  // namespace fathom::api
