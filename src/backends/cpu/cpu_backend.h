// The CPU as a chip: entry of the contract (device/abi.h), linked into the binary.
#pragma once

#include <cstdint>

#include "device/abi.h"

// As a plug-in's fathom_backend_entry: NULL for a version of the contract it does not serve.
extern "C" const fathom_backend* fathom_cpu_backend_entry(uint32_t host_abi_version);
