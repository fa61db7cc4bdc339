#include "backends/cpu/open_device.h"

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/host/host_info.h"
#include "backends/cpu/host/host_topology.h"
#include "backends/cpu/kernel_sets.h"

namespace fathom::cpu {

constexpr int32_t kMaxThreads = 1024;

// A host that is made up (HWLOC_SYNTHETIC) is planned for and told of.
Placement place(const fathom_device_options& options, int threads) {
  if (options.pin_threads == 0) return {};
  return place_threads(read_topology(), threads, {options.share_index, options.share_count});
}

fathom_status read_options(const char* chip, const fathom_device_options* options,
                           OpenParts& parts) {
  if (options == nullptr || options->size < sizeof(*options)) {
    return invalid("open {}: expected options of the contract's version {}", chip,
                   FATHOM_ABI_VERSION);
  }
  if (options->index != 0) {
    return invalid("open {}: expected device index 0, got {}", chip, options->index);
  }
  if (options->threads < 0 || options->threads > kMaxThreads) {
    return invalid("open {}: expected threads in [0, {}] (0: one a processor), got {}", chip,
                   kMaxThreads, options->threads);
  }
  parts.kernels = find_kernels(options->kernels);
  if (parts.kernels == nullptr) {
    return invalid("open {}: expected kernels to be one of {}, got {}", chip, kernel_names(),
                   options->kernels);
  }
  parts.threads = options->threads != 0 ? options->threads : processor_count();
  return FATHOM_OK;
}

}  // namespace fathom::cpu
