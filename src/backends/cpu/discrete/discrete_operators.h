// The operator part of the table: kernels that are queued, and pack().
#pragma once

#include "device/abi.h"

namespace fathom::cpu::discrete {

// kernels[], pack, and what the host asks of operators before; the CPU's own serve for most of
// that.
void fill_operators(fathom_backend& table);

}  // namespace fathom::cpu::discrete
