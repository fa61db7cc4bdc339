#include "ops/ops.h"

namespace fathom::ops {

std::vector<std::string> missing_operators(const device::Device& device) {
  std::vector<std::string> missing;
  for (int op = 0; op < FATHOM_OP_COUNT; ++op) {
    const bool has_decomposition = op == FATHOM_OP_MLA_DECODE;
    // The engine finds the best token and the log-sum itself, on the host.
    const bool unused = op == FATHOM_OP_LOGITS_STATS;
    const bool optional = op >= FATHOM_OP_SAMPLE;
    if (has_decomposition || unused || optional) continue;
    if (device.has(static_cast<fathom_op>(op))) continue;
    missing.emplace_back(device::op_name(static_cast<fathom_op>(op)));
  }
  return missing;
}

}  // namespace fathom::ops
