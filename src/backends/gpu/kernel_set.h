// What host code and kernels know of each other: a table of operators, one a dialect.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/abi.h"

namespace fathom::gpu {

// A stream of a chip, as its driver has it (host/driver.h); kernels hand it on to launch().
struct Queue {};

// One operator of the contract. `args` is its argument structure.
struct Kernel {
  // FATHOM_OK, or FATHOM_UNSUPPORTED and last_error() says what it does not take. Data is not read.
  fathom_status (*supports)(const void* args) = nullptr;
  size_t (*workspace_bytes)(const void* args) = nullptr;  // NULL: it needs none
  // Queues its launches; only for arguments that supports() takes.
  fathom_status (*launch)(Queue& queue, const void* args) = nullptr;
};

struct KernelSet {
  int warp;                         // lanes
  Kernel kernels[FATHOM_OP_COUNT];  // without launch(): an operator that is missing
  // As the contract's checksum(); `parts` is device memory of kChecksumParts words.
  fathom_status (*checksum)(Queue& queue, const void* from, size_t bytes, uint64_t* sum,
                            uint64_t* parts);
};

inline constexpr int kChecksumParts = 256;

}  // namespace fathom::gpu
