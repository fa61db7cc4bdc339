#include "backends/gpu/host/operators.h"

#include <utility>

#include "backends/gpu/host/device.h"
#include "device/device.h"

namespace fathom::gpu {
namespace {

fathom_status no_kernel(const Device& device, int op) {
  return device::fail(FATHOM_UNSUPPORTED, fmt::format("{}: has no kernel for {}", device.name,
                                                      device::op_name(static_cast<fathom_op>(op))));
}

fathom_status supports(fathom_device* handle, int32_t op, const void* args) {
  return device_of(handle).ask([&](Chip& chip) {
    if (op < 0 || op >= FATHOM_OP_COUNT) {
      return device::fail(FATHOM_UNSUPPORTED,
                          fmt::format("{}: knows no operator {}", device_of(handle).name, op));
    }
    const Kernel& kernel = chip.kernels().kernels[op];
    return kernel.launch == nullptr ? no_kernel(device_of(handle), op) : kernel.supports(args);
  });
}

fathom_status workspace_bytes(fathom_device* handle, int32_t op, const void* args, size_t* bytes) {
  if (const fathom_status status = supports(handle, op, args); status != FATHOM_OK) return status;
  const Kernel& kernel = device_of(handle).chip->kernels().kernels[op];
  *bytes = kernel.workspace_bytes == nullptr ? 0 : kernel.workspace_bytes(args);
  return FATHOM_OK;
}

template <int kOp>
fathom_status run(fathom_device* handle, fathom_stream* stream, const void* args) {
  if (const fathom_status status = supports(handle, kOp, args); status != FATHOM_OK) return status;
  return device_of(handle).ask(
      [&](Chip& chip) { return chip.kernels().kernels[kOp].launch(queue_of(stream), args); });
}

template <int... kOps>
void fill_kernels(fathom_backend& table, std::integer_sequence<int, kOps...>) {
  ((table.kernels[kOps] = run<kOps>), ...);
}

}  // namespace

void fill_operators(fathom_backend& table) {
  table.supports = supports;
  table.workspace_bytes = workspace_bytes;
  fill_kernels(table, std::make_integer_sequence<int, FATHOM_OP_COUNT>());
  // Ranks exchange rows by copies through their hosts.
  table.kernels[FATHOM_OP_MOE_DISPATCH] = nullptr;
  table.kernels[FATHOM_OP_MOE_COMBINE] = nullptr;
}

}  // namespace fathom::gpu
