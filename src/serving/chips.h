// Chips: which there are, and the one that is served on.
#pragma once

#include <memory>
#include <vector>

#include "comm/launch.h"
#include "device/device.h"
#include "device/registry.h"
#include "serving/options.h"

namespace fathom::serving {

// The chips linked in and those of plug-ins (base/plug_in.h).
struct Chips {
  std::unique_ptr<device::Registry> registry;
  std::vector<Error> refused;  // why plug-ins were not loaded
};
Chips look_for_chips();
// The same, with what was refused logged.
std::unique_ptr<device::Registry> find_chips();

// The chip of `options`, shared with the other ranks of this host.
Result<std::unique_ptr<device::Device>> open_device(const device::Registry& registry,
                                                    const StackOptions& options,
                                                    const comm::Launch& launch);

}  // namespace fathom::serving
