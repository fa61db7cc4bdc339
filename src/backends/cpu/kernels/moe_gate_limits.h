#pragma once

#include <cstdint>

namespace fathom::cpu {

// A row's scores lie in a thread's scratch; the largest released model has 256 experts.
inline constexpr int64_t kMaxGateExperts = 16384;

}  // namespace fathom::cpu
