// The operator part of the CPU's table: checks, then the device's kernel set.
#pragma once

#include "device/abi.h"

namespace fathom::cpu {

// kernels[], supports, workspace_bytes, describe, pack_bytes and pack.
void fill_operators(fathom_backend& table);

}  // namespace fathom::cpu
