// The operator part of the table: kernels that are queued, and pack().
#pragma once

#include "device/abi.h"

namespace fathom::cpu::discrete {

// kernels[] and pack; the CPU's own serve for what reads no memory.
void fill_operators(fathom_backend& table);

}  // namespace fathom::cpu::discrete
