// "Did you mean": the nearest of some names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// Insertions, deletions, substitutions and swaps of neighbours from a to b.
int edit_distance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, unless all are too far for a slip of the hand.
std::optional<std::string> nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

}  // namespace fathom
