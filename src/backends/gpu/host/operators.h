// The part of the table that runs operators.
#pragma once

#include "device/abi.h"

namespace fathom::gpu {

void fill_operators(fathom_backend& table);

}  // namespace fathom::gpu
