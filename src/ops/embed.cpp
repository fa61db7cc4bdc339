#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {

Status embed(Context& context, const int32_t* tokens, const Weight& table, const Tensor& out) {
  expect_matrix("embed", "out", out, out.shape[0], table.k);
  const fathom_embed_args args = {sizeof(args), tokens, out.shape[0], table, out};
  return context.device.run(FATHOM_OP_EMBED, &args);
}

}  // namespace fathom::ops
