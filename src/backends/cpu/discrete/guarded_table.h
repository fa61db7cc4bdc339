// The table that hosts see. Each call on a device first asks whether the device is lost, and
// whether it goes without what is called (options.h).
#pragma once

#include "device/abi.h"

namespace fathom::cpu::discrete {

// `whole` has all parts and a device that is never lost. There is one such table in a process.
fathom_backend guard(const fathom_backend& whole);

}  // namespace fathom::cpu::discrete
