#include "cli/commands/roofline.h"

namespace fathom::cli {

Bound Roofline::prefill(int64_t tokens, int64_t depth, int64_t batch) const {
  if (!cost_) return {};
  const fathom_dtype dtype = cost_->main_dtype();
  const bool integers = dtype == FATHOM_I8 || dtype == FATHOM_I4;
  const double peak = integers ? limits_.int8_ops_per_s : limits_.bf16_flops_per_s;
  const auto sequences = static_cast<double>(batch);
  const double work = sequences * cost_->prefill_flops(tokens, depth);
  return {integers ? "int8" : "bf16", static_cast<double>(tokens) * sequences / (work / peak)};
}

Bound Roofline::decode(int64_t tokens, int64_t depth, int64_t batch) const {
  if (!cost_) return {};
  const double bytes = cost_->decode_bytes(batch, depth + tokens / 2);
  return {"read", static_cast<double>(batch) * limits_.read_bytes_per_s / bytes};
}

}  // namespace fathom::cli
