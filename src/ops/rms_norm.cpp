#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {
namespace {

fathom_rms_norm_args norm_args(const Tensor& x, const Tensor& residual, const float* weight,
                               float eps, const Tensor& out) {
  return {sizeof(fathom_rms_norm_args), x, residual, weight, eps, 0, out};
}

}  // namespace

Status rms_norm(Context& context, const Tensor& x, const float* weight, float eps,
                const Tensor& out) {
  expect_matrix("rms_norm", "out", out, x.shape[0], x.shape[1]);
  const auto args = norm_args(x, device::none(), weight, eps, out);
  return context.device.run(FATHOM_OP_RMS_NORM, &args);
}

Status add_rms_norm(Context& context, const Tensor& x, const Tensor& residual, const float* weight,
                    float eps, const Tensor& out) {
  expect_matrix("rms_norm", "residual", residual, x.shape[0], x.shape[1]);
  expect_matrix("rms_norm", "out", out, x.shape[0], x.shape[1]);
  const auto args = norm_args(x, residual, weight, eps, out);
  if (context.device.supports(FATHOM_OP_RMS_NORM, &args)) {
    return context.device.run(FATHOM_OP_RMS_NORM, &args);
  }
  FATHOM_TRY(add(context, residual, x));
  return rms_norm(context, residual, weight, eps, out);
}

}  // namespace fathom::ops
