#include "backends/gpu/kernels/kernels.h"

#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

KernelSet all_kernels() {
  KernelSet set = {};
  set.warp = kWarp;
  set.checksum = launch_checksum;
  set.kernels[FATHOM_OP_ADD] = kAdd;
  set.kernels[FATHOM_OP_EMBED] = kEmbed;
  set.kernels[FATHOM_OP_LINEAR] = kLinear;
  set.kernels[FATHOM_OP_LOGITS_STATS] = kLogitsStats;
  set.kernels[FATHOM_OP_MLA_DECODE] = kMlaDecode;
  set.kernels[FATHOM_OP_MLA_PREFILL] = kMlaPrefill;
  set.kernels[FATHOM_OP_MLA_PREPARE] = kMlaPrepare;
  set.kernels[FATHOM_OP_MOE_EXPERTS] = kMoeExperts;
  set.kernels[FATHOM_OP_MOE_GATE] = kMoeGate;
  set.kernels[FATHOM_OP_RMS_NORM] = kRmsNorm;
  set.kernels[FATHOM_OP_SAMPLE] = kSample;
  set.kernels[FATHOM_OP_SILU_MUL] = kSiluMul;
  set.kernels[FATHOM_OP_TAKE_TOKENS] = kTakeTokens;
  return set;
}

}  // namespace

// Kernels are constants of other files: they are read when a chip is opened, and no sooner.
const KernelSet& kernel_set() {
  static const KernelSet set = all_kernels();
  return set;
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
