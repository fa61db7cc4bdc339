// What this processor does at best with one kernel set's instructions and the pool's threads.
#pragma once

#include "device/abi.h"

namespace fathom::cpu {

// The best of several runs of each kind. FP8 and F32 are what the linear kernel makes of weights in
// a cache, the other products what the instructions do by themselves. Unsupported where the kernel
// set is not made for speed.
fathom_status measure_limits(fathom_device* device, fathom_limits* limits);

}  // namespace fathom::cpu
