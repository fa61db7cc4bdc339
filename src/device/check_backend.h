// Whether what a plug-in hands over is what the contract (device/abi.h) says: found before a
// missing function is called.
#pragma once

#include "base/result.h"
#include "device/abi.h"

namespace fathom::device {

// A table of this contract with every function that is not optional. Optional ones that belong
// together are all there, or none is. The error names what is missing.
Status check_table(const fathom_backend& table);

// What a device says of itself: alignment, number formats, the cache that it wants, and functions
// for what it claims.
Status check_info(const fathom_backend& table, const fathom_device_info& info);

}  // namespace fathom::device
