#include "backends/cpu/cpu_operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "backends/cpu/checks/check_args.h"
#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/cpu_device.h"
#include "backends/cpu/kernels/sample.h"
#include "backends/cpu/packing/pack_weights.h"
#include "backends/cpu/packing/packing.h"
#include "device/device.h"
#include "device/last_error.h"

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

// The same whatever the kernel set.
template <typename Args, void (*Run)(ThreadPool&, const Args&)>
struct CommonOperator {
  static fathom_status check_args(fathom_device* device, CheckDepth depth, const void* args) {
    return check(check_context(device, depth), *static_cast<const Args*>(args));
  }
  static fathom_status run(fathom_device* device, fathom_stream*, const void* args) {
    const fathom_status status = check_args(device, CheckDepth::kCall, args);
    if (status == FATHOM_OK) Run(device->pool, *static_cast<const Args*>(args));
    return status;
  }
  static size_t workspace(fathom_device*, const void*) { return 0; }
};

struct Sample : CommonOperator<fathom_sample_args, sample> {
  static size_t workspace(fathom_device* device, const void* args) {
    return sample_workspace(device->pool.threads(), *static_cast<const fathom_sample_args*>(args));
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
    entry<Sample>("sample"),
    entry<CommonOperator<fathom_take_tokens_args, take_tokens>>("take_tokens"),
};

}  // namespace

fathom_status check_shapes(fathom_device* device, int32_t op, const void* args) {
  if (op < 0 || op >= FATHOM_OP_COUNT) {
    return device::fail(FATHOM_UNSUPPORTED,
                        fmt::format("operator: expected 0 to {}, got {}", FATHOM_OP_COUNT - 1, op));
  }
  if (args == nullptr)
    return device::fail(FATHOM_INVALID, "operator: expected arguments, got NULL");
  if (kOperators[op].run == nullptr) {
    return device::fail(
        FATHOM_UNSUPPORTED,
        fmt::format("cpu: has no operator {}", device::op_name(static_cast<fathom_op>(op))));
  }
  return kOperators[op].check_args(device, CheckDepth::kShapes, args);
}

namespace {

fathom_status supports(fathom_device* device, int32_t op, const void* args) {
  return check_shapes(device, op, args) == FATHOM_OK ? FATHOM_OK : FATHOM_UNSUPPORTED;
}

fathom_status workspace_bytes(fathom_device* device, int32_t op, const void* args, size_t* bytes) {
  const fathom_status status = check_shapes(device, op, args);
  if (status == FATHOM_OK) *bytes = kOperators[op].workspace(device, args);
  return status;
}

// The weight an operator is named after; NULL where it has none.
const fathom_weight* main_weight(int32_t op, const void* args) {
  switch (op) {
    case FATHOM_OP_EMBED:
      return &static_cast<const fathom_embed_args*>(args)->table;
    case FATHOM_OP_LINEAR:
      return &static_cast<const fathom_linear_args*>(args)->weight;
    case FATHOM_OP_MLA_PREFILL:
    case FATHOM_OP_MLA_DECODE:
      return &static_cast<const fathom_mla_attention_args*>(args)->wkv_b;
    case FATHOM_OP_MOE_EXPERTS: {
      const auto* experts = static_cast<const fathom_moe_experts_args*>(args);
      return experts->num_experts > 0 ? &experts->gate : nullptr;
    }
    default:
      return nullptr;
  }
}

const char* format_name(int32_t dtype) {
  switch (dtype) {
    case FATHOM_BF16:
      return "bf16";
    case FATHOM_F8_E4M3:
      return "fp8";
    case FATHOM_I8:
      return "int8";
    case FATHOM_I4:
      return "int4";
    default:
      return "f32";
  }
}

// Valid until this thread asks again.
const char* describe(fathom_device* device, int32_t op, const void* args) {
  thread_local char text[96];
  if (check_shapes(device, op, args) != FATHOM_OK) return "unsupported";
  const fathom_weight* weight = main_weight(op, args);
  const bool packed = weight != nullptr && weight->layout != FATHOM_LAYOUT_ROWS;
  const auto end = fmt::format_to_n(text, sizeof(text) - 1, "{} {}{}", device->kernels.name,
                                    format_name(weight != nullptr ? weight->dtype : FATHOM_F32),
                                    packed ? " packed" : "");
  *end.out = '\0';
  return text;
}

fathom_status pack_bytes(fathom_device* device, int32_t op, const fathom_weight* weight,
                         size_t* bytes) {
  if (weight == nullptr || bytes == nullptr) return invalid("pack: expected a weight, got NULL");
  // A weight in rows, with no call's other arguments and no data yet.
  FATHOM_CPU_TRY(check_weight(check_context(device, CheckDepth::kShapes), "pack", "a weight",
                              *weight, -1, -1));
  const bool packs = op == FATHOM_OP_LINEAR || op == FATHOM_OP_MOE_EXPERTS;
  *bytes = packs && device->kernels.reads_packed ? packed_bytes(*weight) : 0;
  return FATHOM_OK;
}

fathom_status pack(fathom_device* device, int32_t op, const fathom_weight* weight, void* memory,
                   fathom_weight* packed) {
  size_t bytes = 0;
  FATHOM_CPU_TRY(pack_bytes(device, op, weight, &bytes));
  if (bytes == 0) {
    return unsupported("pack: expected a weight that {} packs, got type {} for operator {}",
                       device->kernels.name, weight->dtype, op);
  }
  if (weight->data == nullptr || weight->scale == nullptr || memory == nullptr ||
      packed == nullptr) {
    return invalid("pack: expected data, scales and memory to write to, got NULL");
  }
  BadScale bad;
  if (!pack_weight(*weight, memory, bad)) {
    return invalid("pack: expected scales that F16 holds exactly, got another at row {}, group {}",
                   bad.row, bad.group);
  }
  *packed = *weight;
  packed->data = memory;
  packed->scale = nullptr;
  packed->layout = kLayoutPacked;
  return FATHOM_OK;
}

}  // namespace

void fill_operators(fathom_backend& table) {
  for (int op = 0; op < FATHOM_OP_COUNT; ++op) table.kernels[op] = kOperators[op].run;
  table.supports = supports;
  table.workspace_bytes = workspace_bytes;
  table.describe = describe;
  table.pack_bytes = pack_bytes;
  table.pack = pack;
}

}  // namespace fathom::cpu
