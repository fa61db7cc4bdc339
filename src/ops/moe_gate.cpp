#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {

Status moe_gate(Context& context, const Tensor& logits, const MoeGate& gate, int32_t* expert_ids,
                float* expert_weights) {
  FATHOM_CHECK(logits.dtype == FATHOM_F32, "moe_gate: expected f32 logits");
  const fathom_moe_gate_args args = {sizeof(args), logits,          gate.bias,       gate.kind,
                                     gate.top_k,   gate.num_groups, gate.top_groups, gate.normalize,
                                     gate.scale,   expert_ids,      expert_weights,  gate.rows,
                                     gate.loads};
  return context.device.run(FATHOM_OP_MOE_GATE, &args);
}

}  // namespace fathom::ops
