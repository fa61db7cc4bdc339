// The kernels of the simulated chip and what each of them costs.
#pragma once

#include "device/abi.h"

namespace fathom::sim {

// Fills in the table's kernels and what the contract asks about them.
void fill_operators(fathom_backend& table);

}  // namespace fathom::sim
