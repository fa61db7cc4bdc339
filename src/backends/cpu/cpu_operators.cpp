#include "backends/cpu/cpu_operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "backends/cpu/check_args.h"
#include "backends/cpu/cpu_device.h"
#include "backends/cpu/last_error.h"

namespace fathom::cpu {
namespace {

CheckContext check_context(fathom_device* device, CheckDepth depth) {
  return {depth, device->kernels, device->pool.threads()};
}

// How to check, run and size one operator. `Workspace` is NULL where it needs no scratch.
template <typename Args, void (*KernelSet::*Run)(ThreadPool&, const Args&)>
struct Operator {
  static fathom_status check_args(fathom_device* device, CheckDepth depth, const void* args) {
    return check(check_context(device, depth), *static_cast<const Args*>(args));
  }
  static fathom_status run(fathom_device* device, fathom_stream*, const void* args) {
    const fathom_status status = check_args(device, CheckDepth::kCall, args);
    if (status == FATHOM_OK) {
      (device->kernels.*Run)(device->pool, *static_cast<const Args*>(args));
    }
    return status;
  }
  static size_t workspace(fathom_device*, const void*) { return 0; }
};

struct Experts : Operator<fathom_moe_experts_args, &KernelSet::moe_experts> {
  static size_t workspace(fathom_device* device, const void* args) {
    return device->kernels.moe_experts_workspace(
        device->pool.threads(), *static_cast<const fathom_moe_experts_args*>(args));
  }
};

template <void (*KernelSet::*Run)(ThreadPool&, const fathom_mla_attention_args&),
          size_t (*KernelSet::*Workspace)(int, const fathom_mla_attention_args&)>
struct Attention {
  static fathom_status check_args(fathom_device* device, CheckDepth depth, const void* args) {
    return check(check_context(device, depth), *static_cast<const fathom_mla_attention_args*>(args),
                 device->kernels.*Workspace);
  }
  static fathom_status run(fathom_device* device, fathom_stream*, const void* args) {
    const fathom_status status = check_args(device, CheckDepth::kCall, args);
    if (status == FATHOM_OK) {
      (device->kernels.*Run)(device->pool, *static_cast<const fathom_mla_attention_args*>(args));
    }
    return status;
  }
  static size_t workspace(fathom_device* device, const void* args) {
    return (device->kernels.*Workspace)(device->pool.threads(),
                                        *static_cast<const fathom_mla_attention_args*>(args));
  }
};

struct OperatorEntry {
  const char* name;
  fathom_kernel run;
  fathom_status (*check_args)(fathom_device*, CheckDepth, const void* args);
  size_t (*workspace)(fathom_device*, const void* args);
};

template <typename Op>
constexpr OperatorEntry entry(const char* name) {
  return {name, Op::run, Op::check_args, Op::workspace};
}

// Indexed by fathom_op.
constexpr OperatorEntry kOperators[FATHOM_OP_COUNT] = {
    entry<Operator<fathom_embed_args, &KernelSet::embed>>("embed"),
    entry<Operator<fathom_rms_norm_args, &KernelSet::rms_norm>>("rms_norm"),
    entry<Operator<fathom_linear_args, &KernelSet::linear>>("linear"),
    entry<Operator<fathom_silu_mul_args, &KernelSet::silu_mul>>("silu_mul"),
    entry<Operator<fathom_mla_prepare_args, &KernelSet::mla_prepare>>("mla_prepare"),
    entry<Attention<&KernelSet::mla_prefill, &KernelSet::mla_prefill_workspace>>("mla_prefill"),
    entry<Attention<&KernelSet::mla_decode, &KernelSet::mla_decode_workspace>>("mla_decode"),
    entry<Operator<fathom_moe_gate_args, &KernelSet::moe_gate>>("moe_gate"),
    entry<Experts>("moe_experts"),
    entry<Operator<fathom_add_args, &KernelSet::add>>("add"),
    entry<Operator<fathom_logits_stats_args, &KernelSet::logits_stats>>("logits_stats"),
};

fathom_status check_shapes(fathom_device* device, int32_t op, const void* args) {
  if (op < 0 || op >= FATHOM_OP_COUNT) {
    return fail(FATHOM_UNSUPPORTED,
                fmt::format("operator: expected 0 to {}, got {}", FATHOM_OP_COUNT - 1, op));
  }
  if (args == nullptr) return fail(FATHOM_INVALID, "operator: expected arguments, got NULL");
  return kOperators[op].check_args(device, CheckDepth::kShapes, args);
}

fathom_status supports(fathom_device* device, int32_t op, const void* args) {
  return check_shapes(device, op, args) == FATHOM_OK ? FATHOM_OK : FATHOM_UNSUPPORTED;
}

fathom_status workspace_bytes(fathom_device* device, int32_t op, const void* args, size_t* bytes) {
  const fathom_status status = check_shapes(device, op, args);
  if (status == FATHOM_OK) *bytes = kOperators[op].workspace(device, args);
  return status;
}

const char* weight_format(int32_t op, const void* args) {
  int32_t dtype = FATHOM_F32;
  switch (op) {
    case FATHOM_OP_EMBED:
      dtype = static_cast<const fathom_embed_args*>(args)->table.dtype;
      break;
    case FATHOM_OP_LINEAR:
      dtype = static_cast<const fathom_linear_args*>(args)->weight.dtype;
      break;
    case FATHOM_OP_MLA_PREFILL:
    case FATHOM_OP_MLA_DECODE:
      dtype = static_cast<const fathom_mla_attention_args*>(args)->wkv_b.dtype;
      break;
    case FATHOM_OP_MOE_EXPERTS: {
      const auto* experts = static_cast<const fathom_moe_experts_args*>(args);
      if (experts->num_experts > 0) dtype = experts->gate[0].dtype;
      break;
    }
    default:
      break;
  }
  return dtype == FATHOM_F8_E4M3 ? "fp8" : dtype == FATHOM_BF16 ? "bf16" : "f32";
}

// Valid until this thread asks again.
const char* describe(fathom_device* device, int32_t op, const void* args) {
  thread_local char text[96];
  if (check_shapes(device, op, args) != FATHOM_OK) return "unsupported";
  const auto end = fmt::format_to_n(text, sizeof(text) - 1, "{} {}", device->kernels.name,
                                    weight_format(op, args));
  *end.out = '\0';
  return text;
}

}  // namespace

void fill_operators(fathom_backend& table) {
  for (int op = 0; op < FATHOM_OP_COUNT; ++op) table.kernels[op] = kOperators[op].run;
  table.supports = supports;
  table.workspace_bytes = workspace_bytes;
  table.describe = describe;
}

}  // namespace fathom::cpu
