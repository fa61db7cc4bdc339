// The oracle: each operator as its formula reads, F32 data, float64 sums.
#pragma once

#include "backends/cpu/kernels/kernel_set.h"

namespace fathom::cpu::reference {

#include "backends/cpu/kernels/prototypes.inc"

}  // namespace fathom::cpu::reference
