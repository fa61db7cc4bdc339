#include "serving/chips.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/discrete/discrete_backend.h"
#include "backends/sim/sim_backend.h"
#include "base/log.h"
#include "base/plug_in.h"
#include "ops/ops.h"

namespace fathom::serving {

Chips look_for_chips() {
  Chips chips = {std::make_unique<device::Registry>(), {}};
  for (const auto entry :
       {fathom_cpu_backend_entry, fathom_cpu_discrete_backend_entry, fathom_sim_backend_entry}) {
    const auto added = chips.registry->add(entry);
    FATHOM_CHECK(added.ok(), "a built-in backend serves this contract");
  }
  for (const auto& directory : plug_in_directories()) {
    for (auto& error : chips.registry->load_all(directory)) {
      chips.refused.push_back(std::move(error));
    }
  }
  return chips;
}

std::unique_ptr<device::Registry> find_chips() {
  Chips chips = look_for_chips();
  for (const Error& error : chips.refused) log_warning("{}", error.message);
  return std::move(chips.registry);
}

Result<std::unique_ptr<device::Device>> open_device(const device::Registry& registry,
                                                    const StackOptions& options,
                                                    const comm::Launch& launch) {
  FATHOM_ASSIGN(const fathom_backend* backend, registry.find(options.chip));
  const int ranks_here = launch.local_size > 0 ? launch.local_size : launch.size;
  FATHOM_ASSIGN(auto device, device::Device::open(
                                 *backend, {.index = 0,
                                            .threads = options.threads,
                                            .kernels = options.kernels,
                                            .pin_threads = options.pin,
                                            .share_index = ranks_here == 1 ? 0 : launch.local_rank,
                                            .share_count = ranks_here}));
  const auto missing = ops::missing_operators(*device);
  if (!missing.empty()) {
    return Error{ErrorCode::kUnsupported, fmt::format("chip {}: has no kernel for {}", options.chip,
                                                      fmt::join(missing, ", "))};
  }
  if (device->ignores_weights()) {
    log_warning("chip {} reads no weights: its answers are made up", options.chip);
  }
  return device;
}

}  // namespace fathom::serving
