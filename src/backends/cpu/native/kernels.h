// The native kernels of one instruction set. Same base names as in the other layers.
#pragma once

#include "backends/cpu/kernels/kernel_set.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

#include "backends/cpu/kernels/prototypes.inc"

void read_range(const float* from, int64_t count);
int64_t multiply_int8(int64_t rounds);
int64_t multiply_bf16(int64_t rounds);

}  // namespace fathom::cpu::FATHOM_CPU_ISA
