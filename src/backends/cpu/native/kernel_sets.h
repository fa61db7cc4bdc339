// The native kernels as compiled for each instruction set; kernel_sets.cpp chooses.
#pragma once

#include "backends/cpu/kernels/kernel_set.h"

namespace fathom::cpu {

namespace portable {
const KernelSet& kernels();
}
namespace avx2 {
const KernelSet& kernels();
}
namespace avx512 {
const KernelSet& kernels();
}

// AVX-512 with VNNI, the products of bytes for packed weights.
namespace avx512_vnni {
const KernelSet& kernels();
}

// The same with products of bf16 numbers, for attention.
namespace avx512_bf16 {
const KernelSet& kernels();
}

// aarch64 with products of signed bytes, and with those of unsigned by signed ones and of bf16.
namespace neon_dot {
const KernelSet& kernels();
}
namespace neon_i8mm {
const KernelSet& kernels();
}

// AVX-512 in plain loops: linked into the tests only (avx512_emulation.h).
namespace avx512_emulated {
const KernelSet& kernels();
}
namespace avx512_vnni_emulated {
const KernelSet& kernels();
}
namespace avx512_bf16_emulated {
const KernelSet& kernels();
}

}  // namespace fathom::cpu
