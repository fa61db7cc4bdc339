// The contract's comm_* functions: checked, queued, and run with the group's other ranks.
#pragma once

#include "device/abi.h"

namespace fathom::cpu::discrete {

void fill_collectives(fathom_backend& table);

}  // namespace fathom::cpu::discrete
