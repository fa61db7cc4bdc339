#include "backends/cpu/discrete/discrete_operators.h"

#include <mutex>
#include <shared_mutex>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_operators.h"
#include "backends/cpu/discrete/addresses.h"
#include "backends/cpu/discrete/discrete_device.h"
#include "backends/cpu/discrete/row_exchange.h"
#include "backends/cpu/kernels/moe_gate_limits.h"
#include "device/device.h"

namespace fathom::cpu::discrete {
namespace {

const fathom_backend& cpu_table() {
  return *fathom_cpu_backend_entry(FATHOM_ABI_VERSION);
}

template <typename Args>
fathom_status check_limits(const Args&) {
  return FATHOM_OK;
}
fathom_status check_limits(const fathom_moe_experts_args& args) {
  if (args.num_experts <= kMaxGateExperts) return FATHOM_OK;
  return unsupported("moe_experts: expected {} experts or fewer, got {}", kMaxGateExperts,
                     args.num_experts);
}

// Addresses that lie in device memory, once the arguments' own are replaced.
template <typename Args>
void replace_stored(WorkQueue&, Addresses&, Args&) {}
void replace_stored(WorkQueue& queue, Addresses& addresses, fathom_moe_experts_args& args) {
  if (addresses.status() != FATHOM_OK) return;
  fathom_expert* replaced = queue.experts();
  for (int64_t e = 0; e < args.num_experts; ++e) {
    replaced[e] = args.experts[e];
    visit_addresses(addresses, args, replaced[e]);
  }
  args.experts = replaced;
}

void replace_stored(WorkQueue&, Addresses& addresses, fathom_sample_args& args) {
  if (addresses.status() == FATHOM_OK) visit_lists(addresses, args);
}

template <fathom_op Op, typename Args>
fathom_status run_kernel(Device& device, WorkQueue& queue, void* arguments) {
  Args& args = *static_cast<Args*>(arguments);
  const std::shared_lock lock(device.memory.mutex());
  Addresses addresses(device.memory, device::op_name(Op), Addresses::Then::kReplaced);
  visit_addresses(addresses, args);
  replace_stored(queue, addresses, args);
  FATHOM_CPU_TRY(addresses.status());
  const std::lock_guard alone(device.one_kernel);
  return cpu_table().kernels[Op](&device, &queue, &args);
}

// What is wrong with the arguments is told at once; what lies in memory is looked at when it runs.
template <fathom_op Op, typename Args>
fathom_status queue_kernel(fathom_device* handle, fathom_stream* stream, const void* arguments) {
  Device& device = device_of(handle);
  if (stream == nullptr) return invalid("cpu-discrete: expected a stream, got NULL");
  FATHOM_CPU_TRY(check_shapes(handle, Op, arguments));
  Args args = *static_cast<const Args*>(arguments);
  FATHOM_CPU_TRY(check_limits(args));
  {
    const std::shared_lock lock(device.memory.mutex());
    Addresses addresses(device.memory, device::op_name(Op), Addresses::Then::kLeft);
    visit_addresses(addresses, args);
    FATHOM_CPU_TRY(addresses.status());
  }
  return queue_of(stream).push_or_record(run_kernel<Op, Args>, args);
}

bool is_row_exchange(int32_t op) {
  return op == FATHOM_OP_MOE_DISPATCH || op == FATHOM_OP_MOE_COMBINE;
}

fathom_status supports(fathom_device* device, int32_t op, const void* args) {
  if (!is_row_exchange(op)) return cpu_table().supports(device, op, args);
  return check_row_exchange(*static_cast<const fathom_moe_exchange_args*>(args));
}

fathom_status workspace_bytes(fathom_device* device, int32_t op, const void* args, size_t* bytes) {
  if (!is_row_exchange(op)) return cpu_table().workspace_bytes(device, op, args, bytes);
  const auto& exchange = *static_cast<const fathom_moe_exchange_args*>(args);
  FATHOM_CPU_TRY(check_row_exchange(exchange));
  *bytes = row_exchange_workspace(exchange);
  return FATHOM_OK;
}

fathom_status pack(fathom_device* handle, int32_t op, const fathom_weight* weight, void* memory,
                   fathom_weight* packed) {
  const DeviceMemory& device_memory = device_of(handle).memory;
  size_t bytes = 0;
  FATHOM_CPU_TRY(cpu_table().pack_bytes(handle, op, weight, &bytes));
  const std::shared_lock lock(device_memory.mutex());
  if (device_memory.is_device(weight->data) || device_memory.is_device(weight->scale)) {
    return invalid("cpu-discrete: pack: expected a weight in host memory, got it in the device's");
  }
  void* backing = nullptr;
  if (bytes > 0) {
    backing = device_memory.find(memory, bytes, "pack", "memory");
    if (backing == nullptr) return FATHOM_INVALID;
  }
  FATHOM_CPU_TRY(cpu_table().pack(handle, op, weight, backing, packed));
  packed->data = memory;
  return FATHOM_OK;
}

}  // namespace

void fill_operators(fathom_backend& table) {
  auto& kernels = table.kernels;
  kernels[FATHOM_OP_EMBED] = queue_kernel<FATHOM_OP_EMBED, fathom_embed_args>;
  kernels[FATHOM_OP_RMS_NORM] = queue_kernel<FATHOM_OP_RMS_NORM, fathom_rms_norm_args>;
  kernels[FATHOM_OP_LINEAR] = queue_kernel<FATHOM_OP_LINEAR, fathom_linear_args>;
  kernels[FATHOM_OP_SILU_MUL] = queue_kernel<FATHOM_OP_SILU_MUL, fathom_silu_mul_args>;
  kernels[FATHOM_OP_MLA_PREPARE] = queue_kernel<FATHOM_OP_MLA_PREPARE, fathom_mla_prepare_args>;
  kernels[FATHOM_OP_MLA_PREFILL] = queue_kernel<FATHOM_OP_MLA_PREFILL, fathom_mla_attention_args>;
  kernels[FATHOM_OP_MLA_DECODE] = queue_kernel<FATHOM_OP_MLA_DECODE, fathom_mla_attention_args>;
  kernels[FATHOM_OP_MOE_GATE] = queue_kernel<FATHOM_OP_MOE_GATE, fathom_moe_gate_args>;
  kernels[FATHOM_OP_MOE_EXPERTS] = queue_kernel<FATHOM_OP_MOE_EXPERTS, fathom_moe_experts_args>;
  kernels[FATHOM_OP_ADD] = queue_kernel<FATHOM_OP_ADD, fathom_add_args>;
  kernels[FATHOM_OP_LOGITS_STATS] = queue_kernel<FATHOM_OP_LOGITS_STATS, fathom_logits_stats_args>;
  kernels[FATHOM_OP_SAMPLE] = queue_kernel<FATHOM_OP_SAMPLE, fathom_sample_args>;
  kernels[FATHOM_OP_TAKE_TOKENS] = queue_kernel<FATHOM_OP_TAKE_TOKENS, fathom_take_tokens_args>;
  fill_row_exchange(table);
  table.supports = supports;
  table.workspace_bytes = workspace_bytes;
  table.pack = pack;
}

}  // namespace fathom::cpu::discrete
