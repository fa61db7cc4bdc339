// Tests of what this processor does, as the contract's self_test() runs them: its threads, its
// memory, and the units that multiply, each by what the device was opened with.
#pragma once

#include <cstdint>

#include "device/abi.h"

namespace fathom::cpu {

const char* self_test_name(fathom_device* device, int32_t index);
fathom_status self_test(fathom_device* device, const char* name);

}  // namespace fathom::cpu
