// Small kernels that use one word each, right and wrong ones, compiled for each width of a warp.
#pragma once

#include <cstdint>

#include "backends/gpu/kernel_set.h"

namespace fathom::emulated::test {

// What a kernel reads and writes: 4096 words of each.
struct WordBuffers {
  const uint32_t* in;
  uint32_t* out;
};

// One block of two warps runs it.
using WordKernel = fathom_status (*)(gpu::Queue& queue, const WordBuffers& buffers);

struct WordKernels {
  int warp;
  WordKernel reverse;           // out[i] = in[threads - 1 - i], through shared memory
  int reverse_barrier;          // its line
  WordKernel reverse_in_warp;   // likewise of each warp, behind a barrier of the warp
  int reverse_in_warp_barrier;  // its line
  WordKernel copies;            // out[i] = in[i] by asynchronous copies, the last one zeros
  int copies_wait;              // its line
  WordKernel lanes;             // sums, maxima, votes and shuffles, see the test
  WordKernel overwrites;        // stores what others read, with no barrier between
  WordKernel comes_elsewhere;   // half of the lanes come to another barrier
  WordKernel ends_early;        // one thread ends, the others wait
  WordKernel reads_outside;     // one element behind the end of `in`
  WordKernel reads_unaligned;   // 8 bytes at an odd multiple of 4
  WordKernel reads_outside_shared;
  // out[m * 16 + n], a number in F32 or an integer, from A and B in rows behind each other in `in`.
  WordKernel multiply_bf16;
  WordKernel multiply_e4m3;
  WordKernel multiply_int8;
  WordKernel multiply_deep_bf16;  // A and B lie by columns
};

const WordKernels& word_kernels(int warp);

}  // namespace fathom::emulated::test
