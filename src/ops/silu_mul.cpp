#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {

Status silu_mul(Context& context, const Tensor& gate, const Tensor& up, const Tensor& out) {
  expect_matrix("silu_mul", "up", up, gate.shape[0], gate.shape[1]);
  expect_matrix("silu_mul", "out", out, gate.shape[0], gate.shape[1]);
  const fathom_silu_mul_args args = {sizeof(args), gate, up, out};
  return context.device.run(FATHOM_OP_SILU_MUL, &args);
}

}  // namespace fathom::ops
