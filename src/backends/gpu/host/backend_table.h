// The contract's table of a dialect: all that is the same for every one of them.
#pragma once

#include "backends/gpu/host/driver.h"
#include "device/abi.h"

namespace fathom::gpu {

// One dialect a library: the table's functions ask this driver. It lives as long as the library.
const fathom_backend* backend_table(Driver& driver, uint32_t host_abi_version);

}  // namespace fathom::gpu
