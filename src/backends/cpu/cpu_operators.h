// The operator part of the CPU's table: checks, then the device's kernel set.
#pragma once

#include "device/abi.h"

namespace fathom::cpu {

// kernels[], supports, workspace_bytes, describe, pack_bytes and pack.
void fill_operators(fathom_backend& table);

// Whether sizes, types and weight formats of an operator's arguments are right; no pointer is read.
fathom_status check_shapes(fathom_device* device, int32_t op, const void* args);

}  // namespace fathom::cpu
