// One expert's weights: the format of all experts of a call, and where this one lies.
#pragma once

#include <cstdint>

#include "device/abi.h"

namespace fathom::cpu {

static inline fathom_weight placed(fathom_weight format, const void* data, const float* scale) {
  format.data = data;
  format.scale = scale;
  return format;
}

static inline fathom_weight gate_of(const fathom_moe_experts_args& args, int64_t expert) {
  return placed(args.gate, args.experts[expert].gate, args.experts[expert].gate_scale);
}

static inline fathom_weight up_of(const fathom_moe_experts_args& args, int64_t expert) {
  return placed(args.up, args.experts[expert].up, args.experts[expert].up_scale);
}

static inline fathom_weight down_of(const fathom_moe_experts_args& args, int64_t expert) {
  return placed(args.down, args.experts[expert].down, args.experts[expert].down_scale);
}

}  // namespace fathom::cpu
