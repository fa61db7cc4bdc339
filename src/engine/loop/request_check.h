// The checks of submit(), before anything is queued.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "engine/request.h"

namespace fathom::engine {

struct RequestLimits {
  int64_t vocab_size = 0;
  int64_t max_context = 0;     // positions of the model
  int64_t cache_capacity = 0;  // tokens that fit all KV blocks together
};

// Upper bound of top log-probabilities per token.
inline constexpr int32_t kMaxTopLogprobs = 1024;

// kInvalidArgument with the field at fault in `where`.
Status check_request(const Request& request, const RequestLimits& limits);

}  // namespace fathom::engine
