#include "backends/cpu/discrete/guarded_table.h"

#include <utility>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/discrete/discrete_device.h"
#include "device/device.h"

namespace fathom::cpu::discrete {
namespace {

fathom_backend whole_table;

constexpr uint32_t kAlways = 0;

fathom_status check_part(const Device& device, uint32_t part) {
  if ((device.options.without & part) == 0) return FATHOM_OK;
  return unsupported("cpu-discrete: it was opened without this part");
}

template <auto kMember, uint32_t kPart>
struct Guarded;
template <typename... Args, fathom_status (*fathom_backend::*kMember)(fathom_device*, Args...),
          uint32_t kPart>
struct Guarded<kMember, kPart> {
  static fathom_status call(fathom_device* handle, Args... args) {
    const Device& device = device_of(handle);
    if (device.lost) return tell_loss();
    FATHOM_CPU_TRY(check_part(device, kPart));
    return (whole_table.*kMember)(handle, args...);
  }
};

template <auto kMember, uint32_t kPart = kAlways>
void guard_member(fathom_backend& table) {
  if (table.*kMember != nullptr) table.*kMember = Guarded<kMember, kPart>::call;
}

fathom_status check_operator(fathom_device* device, int32_t op) {
  if (device_of(device).lost) return tell_loss();
  if (device_of(device).options.has_operator(op)) return FATHOM_OK;
  return unsupported("cpu-discrete: it was opened without {}",
                     device::op_name(static_cast<fathom_op>(op)));
}

template <fathom_op kOp>
fathom_status guarded_kernel(fathom_device* device, fathom_stream* stream, const void* args) {
  FATHOM_CPU_TRY(check_operator(device, kOp));
  return whole_table.kernels[kOp](device, stream, args);
}

template <int... kOps>
void guard_kernels(fathom_backend& table, std::integer_sequence<int, kOps...>) {
  const auto guard_one = [](fathom_kernel& kernel, fathom_kernel guarded) {
    if (kernel != nullptr) kernel = guarded;
  };
  (guard_one(table.kernels[kOps], guarded_kernel<static_cast<fathom_op>(kOps)>), ...);
}

fathom_status guarded_supports(fathom_device* device, int32_t op, const void* args) {
  FATHOM_CPU_TRY(check_operator(device, op));
  return whole_table.supports(device, op, args);
}

fathom_status guarded_workspace_bytes(fathom_device* device, int32_t op, const void* args,
                                      size_t* bytes) {
  FATHOM_CPU_TRY(check_operator(device, op));
  return whole_table.workspace_bytes(device, op, args, bytes);
}

// Without a layout of its own every weight stays in rows.
fathom_status pack_bytes(fathom_device* device, int32_t op, const fathom_weight* weight,
                         size_t* bytes) {
  if (device_of(device).lost) return tell_loss();
  FATHOM_CPU_TRY(whole_table.pack_bytes(device, op, weight, bytes));
  if (!device_of(device).options.has(Part::kPack)) *bytes = 0;
  return FATHOM_OK;
}

void guard_collectives(fathom_backend& table) {
  constexpr auto kPart = static_cast<uint32_t>(Part::kCollectives);
  guard_member<&fathom_backend::comm_id, kPart>(table);
  guard_member<&fathom_backend::comm_create, kPart>(table);
  guard_member<&fathom_backend::comm_abort, kPart>(table);
  guard_member<&fathom_backend::comm_all_reduce, kPart>(table);
  guard_member<&fathom_backend::comm_reduce_scatter, kPart>(table);
  guard_member<&fathom_backend::comm_all_gather, kPart>(table);
  guard_member<&fathom_backend::comm_all_to_all, kPart>(table);
  guard_member<&fathom_backend::comm_broadcast, kPart>(table);
  guard_member<&fathom_backend::comm_send, kPart>(table);
  guard_member<&fathom_backend::comm_receive, kPart>(table);
}

void guard_graphs(fathom_backend& table) {
  constexpr auto kPart = static_cast<uint32_t>(Part::kGraphs);
  guard_member<&fathom_backend::graph_begin, kPart>(table);
  guard_member<&fathom_backend::graph_end, kPart>(table);
  guard_member<&fathom_backend::graph_launch, kPart>(table);
}

}  // namespace

fathom_backend guard(const fathom_backend& whole) {
  whole_table = whole;
  fathom_backend table = whole;
  guard_member<&fathom_backend::device_info>(table);
  guard_member<&fathom_backend::alloc>(table);
  guard_member<&fathom_backend::host_alloc>(table);
  guard_member<&fathom_backend::stream_create>(table);
  guard_member<&fathom_backend::stream_synchronize>(table);
  guard_member<&fathom_backend::copy_to_device>(table);
  guard_member<&fathom_backend::copy_to_host>(table);
  guard_member<&fathom_backend::copy_on_device>(table);
  guard_member<&fathom_backend::event_create>(table);
  guard_member<&fathom_backend::event_record>(table);
  guard_member<&fathom_backend::event_wait>(table);
  guard_member<&fathom_backend::event_elapsed_ms>(table);
  guard_member<&fathom_backend::event_query>(table);
  guard_member<&fathom_backend::event_synchronize>(table);
  guard_member<&fathom_backend::fill>(table);
  guard_member<&fathom_backend::checksum>(table);
  guard_member<&fathom_backend::pack>(table);
  guard_member<&fathom_backend::measure_limits>(table);
  guard_member<&fathom_backend::self_test>(table);
  guard_graphs(table);
  guard_collectives(table);
  guard_kernels(table, std::make_integer_sequence<int, FATHOM_OP_COUNT>());
  table.supports = guarded_supports;
  table.workspace_bytes = guarded_workspace_bytes;
  table.pack_bytes = pack_bytes;
  return table;
}

}  // namespace fathom::cpu::discrete
