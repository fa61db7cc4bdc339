#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {

Status linear(Context& context, const Tensor& x, const Weight& weight, const Tensor& out) {
  expect_matrix("linear", "x", x, x.shape[0], weight.k);
  expect_matrix("linear", "out", out, x.shape[0], weight.n);
  const fathom_linear_args args = {sizeof(args), x, weight, out};
  return context.device.run(FATHOM_OP_LINEAR, &args);
}

}  // namespace fathom::ops
