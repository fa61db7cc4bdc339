// The operators of a dialect, each in the file of its name.
#pragma once

#include "backends/gpu/kernel_set.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

extern const Kernel kAdd;
extern const Kernel kEmbed;
extern const Kernel kLinear;
extern const Kernel kLogitsStats;
extern const Kernel kMlaDecode;
extern const Kernel kMlaPrefill;
extern const Kernel kMlaPrepare;
extern const Kernel kMoeExperts;
extern const Kernel kMoeGate;
extern const Kernel kRmsNorm;
extern const Kernel kSample;
extern const Kernel kSiluMul;
extern const Kernel kTakeTokens;

const KernelSet& kernel_set();

fathom_status launch_checksum(Queue& queue, const void* from, size_t bytes, uint64_t* sum,
                              uint64_t* parts);

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
