// The kernel sets of this build.
#pragma once

#include <string>
#include <vector>

#include "backends/cpu/kernels/kernel_set.h"

namespace fathom::cpu {

// Plain loops over F32 data with float64 sums: the oracle of the others.
const KernelSet& reference_kernels();

// The native kernels this processor can run, the fastest last; never empty.
std::vector<const KernelSet*> native_kernels();

// By name: "reference", "native" (the fastest), or one instruction set; NULL means "native". NULL
// where there is none of that name, or this processor cannot run it.
const KernelSet* find_kernels(const char* name);

// The names that find_kernels() takes here, for messages.
std::string kernel_names();

}  // namespace fathom::cpu
