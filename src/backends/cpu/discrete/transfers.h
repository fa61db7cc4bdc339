// The part of the table that moves bytes: copies, fill() and checksum().
#pragma once

#include "device/abi.h"

namespace fathom::cpu::discrete {

void fill_transfers(fathom_backend& table);

}  // namespace fathom::cpu::discrete
