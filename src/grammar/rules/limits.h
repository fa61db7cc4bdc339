// Limits of a user's schema, regex or grammar text, in addition to its WorkBudget. Compiling beyond
// them is an Error.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fathom::grammar {

inline constexpr size_t kMaxSourceBytes = size_t{1} << 20;  // of schema, regex or grammar text
inline constexpr int kMaxSourceDepth = 64;                  // of nested schemas or groups
// Repetitions, lengths and numbers of items or properties: an upper bound from here on is none, as
// generators mean it that write 2147483647. No answer is that long.
inline constexpr uint32_t kNoBound = 1'000'000;
inline constexpr size_t kMaxExpressions = size_t{1} << 19;
inline constexpr size_t kMaxNfaStates = size_t{1} << 20;
inline constexpr size_t kMaxAutomatonStates = size_t{1} << 18;

// Rules that may be open at once while matching: a bound on nesting, below what JSON readers in
// use allow (CPython's ends at 1000 levels).
inline constexpr uint32_t kMaxOpenRules = 512;
// Bytes a compiled grammar may hold of states and masks seen so far before it forgets them.
inline constexpr size_t kStateTableBytes = size_t{64} << 20;

}  // namespace fathom::grammar
