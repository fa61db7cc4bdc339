#include "backends/sim/sim_operators.h"

#include <fmt/format.h>

#include "backends/sim/kernels.h"
#include "backends/sim/sim_device.h"
#include "backends/sim/work.h"
#include "device/last_error.h"

namespace fathom::sim {
namespace {

template <typename Args>
fathom_status run_on(Device& device, const Args& args) {
  return run(device.costs, args);
}
fathom_status run_on(Device& device, const fathom_linear_args& args) {
  return run(device.costs, device.logits, args);
}
fathom_status run_on(Device& device, const fathom_sample_args& args) {
  return run(device.costs, device.logits, args);
}

// One operator: what it does to its rows, and the time it takes.
template <typename Args, Work (*WorkOf)(const Args&)>
fathom_status run_operator(fathom_device* handle, fathom_stream* stream, const void* args) {
  Device& device = device_of(handle);
  const auto& arguments = *static_cast<const Args*>(args);
  const fathom_status status = run_on(device, arguments);
  if (status == FATHOM_OK && !device.costs.is_free()) {
    add_work(device, stream_of(stream), WorkOf(arguments));
  }
  return status;
}

fathom_status supports(fathom_device*, int32_t op, const void* args) {
  if (op >= 0 && op < FATHOM_OP_COUNT && args != nullptr) return FATHOM_OK;
  return device::fail(
      FATHOM_UNSUPPORTED,
      fmt::format("operator: expected 0 to {} with arguments, got {}", FATHOM_OP_COUNT - 1, op));
}

fathom_status workspace_bytes(fathom_device* device, int32_t op, const void* args, size_t* bytes) {
  const fathom_status status = supports(device, op, args);
  if (status != FATHOM_OK) return status;
  *bytes =
      op == FATHOM_OP_SAMPLE ? sample_workspace(*static_cast<const fathom_sample_args*>(args)) : 0;
  return FATHOM_OK;
}

const char* describe(fathom_device* device, int32_t, const void*) {
  return device_of(device).costs.is_free() ? "simulated, takes no time" : "simulated";
}

}  // namespace

void fill_operators(fathom_backend& table) {
  auto& kernels = table.kernels;
  kernels[FATHOM_OP_EMBED] = run_operator<fathom_embed_args, work_of>;
  kernels[FATHOM_OP_RMS_NORM] = run_operator<fathom_rms_norm_args, work_of>;
  kernels[FATHOM_OP_LINEAR] = run_operator<fathom_linear_args, work_of>;
  kernels[FATHOM_OP_SILU_MUL] = run_operator<fathom_silu_mul_args, work_of>;
  kernels[FATHOM_OP_MLA_PREPARE] = run_operator<fathom_mla_prepare_args, work_of>;
  kernels[FATHOM_OP_MLA_PREFILL] = run_operator<fathom_mla_attention_args, work_of_prefill>;
  kernels[FATHOM_OP_MLA_DECODE] = run_operator<fathom_mla_attention_args, work_of_decode>;
  kernels[FATHOM_OP_MOE_GATE] = run_operator<fathom_moe_gate_args, work_of>;
  kernels[FATHOM_OP_MOE_EXPERTS] = run_operator<fathom_moe_experts_args, work_of>;
  kernels[FATHOM_OP_ADD] = run_operator<fathom_add_args, work_of>;
  kernels[FATHOM_OP_LOGITS_STATS] = run_operator<fathom_logits_stats_args, work_of>;
  kernels[FATHOM_OP_SAMPLE] = run_operator<fathom_sample_args, work_of>;
  kernels[FATHOM_OP_TAKE_TOKENS] = run_operator<fathom_take_tokens_args, work_of>;
  table.supports = supports;
  table.workspace_bytes = workspace_bytes;
  table.describe = describe;
}

}  // namespace fathom::sim
