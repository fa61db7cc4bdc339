// The number of a token, as the model's embedding counts them.
#pragma once

#include <cstdint>

namespace fathom::tokenizer {

using TokenId = int32_t;

inline constexpr TokenId kNoToken = -1;

}  // namespace fathom::tokenizer
