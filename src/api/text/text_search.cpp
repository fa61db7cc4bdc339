#include "api/text/text_search.h"

#include <algorithm>

namespace fathom::api {

std::optional<TextMatch> find_first(std::string_view text,
                                    const std::vector<std::string>& needles) {
  std::optional<TextMatch> best;
  for (size_t i = 0; i < needles.size(); ++i) {
    const size_t begin = text.find(needles[i]);
    if (begin == text.npos) continue;
    const bool longer =
        best && begin == best->begin && needles[i].size() > needles[best->needle].size();
    if (!best || begin < best->begin || longer) best = TextMatch{begin, i};
  }
  return best;
}

size_t longest_partial_match(std::string_view text, const std::vector<std::string>& needles) {
  size_t longest = 0;
  for (const std::string& needle : needles) {
    const size_t most = std::min(text.size(), needle.size() - 1);
    for (size_t length = most; length > longest; --length) {
      if (std::string_view(needle).starts_with(text.substr(text.size() - length))) longest = length;
    }
  }
  return longest;
}

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace fathom::api
