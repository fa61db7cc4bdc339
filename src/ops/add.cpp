#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {

Status add(Context& context, const Tensor& x, const Tensor& y) {
  expect_matrix("add", "y", y, x.shape[0], x.shape[1]);
  const fathom_add_args args = {sizeof(args), x, y};
  return context.device.run(FATHOM_OP_ADD, &args);
}

}  // namespace fathom::ops
