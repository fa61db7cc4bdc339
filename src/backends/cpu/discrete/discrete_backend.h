// The backend "cpu-discrete": the CPU's kernels behind memory that the host cannot touch, as a chip
// with memory and queues of its own has them. For tests of the host: what it may not count on does
// not happen here.
//
//  - Addresses of alloc() are of pages that fault for whoever touches them (device_memory.h); fresh
//    memory is poison.
//  - Every stream has a thread that runs its queue after delays of its own (work_queue.h): copies
//    read and write host memory then, and not before.
//  - Addresses in arguments must lie in memory that is allocated, from end to end (addresses.h).
#pragma once

#include <cstdint>

#include "device/abi.h"

extern "C" const fathom_backend* fathom_cpu_discrete_backend_entry(uint32_t host_abi_version);
