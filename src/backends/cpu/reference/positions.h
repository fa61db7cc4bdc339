#pragma once

#include <algorithm>
#include <cstdint>

#include "device/abi.h"

namespace fathom::cpu::reference {

// The most positions any sequence of the call looks at.
inline int64_t most_positions(const fathom_mla_attention_args& args) {
  int64_t most = 0;
  for (int64_t s = 0; s < args.num_sequences; ++s) {
    most = std::max(most, args.sequences[s].context + args.sequences[s].query_count);
  }
  return most;
}

}  // namespace fathom::cpu::reference
