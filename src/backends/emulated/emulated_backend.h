// The emulated GPU, `--chip emulated`: the kernels of src/backends/gpu by the host's compiler
// (docs/gpu.md).
#pragma once

#include "device/abi.h"

extern "C" const fathom_backend* fathom_emulated_backend_entry(uint32_t host_abi_version);
