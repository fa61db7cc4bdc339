// The sequences of an attention call, as kernels read them.
#pragma once

#include "backends/gpu/words.h"
#include "device/abi.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

struct SequenceParts {
  int query_begin;
  int query_count;
  int context;
  int block_begin;
};

struct Sequences {
  Global<const int32_t> all;  // four numbers each
  Global<const int32_t> count;
  Global<const int32_t> blocks;

  GPU_DEVICE SequenceParts get(int i) const {
    return {load(all, 4 * i), load(all, 4 * i + 1), load(all, 4 * i + 2), load(all, 4 * i + 3)};
  }
};

inline Sequences sequences_of(const fathom_sequences& sequences) {
  static_assert(sizeof(fathom_sequence) == 4 * sizeof(int32_t), "four numbers each");
  return {reinterpret_cast<const int32_t*>(sequences.sequences), sequences.count, sequences.blocks};
}

// The slot of a position of the sequence whose block table begins at `table`.
GPU_DEVICE inline int64_t slot_of(Global<const int32_t> table, int block_size, int position) {
  return int64_t{load(table, position / block_size)} * block_size + position % block_size;
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
