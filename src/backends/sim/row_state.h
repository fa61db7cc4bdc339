// What the simulated chip keeps of a token in place of numbers: 8 bytes at the beginning of its row
// in every tensor, and of its row in the cache.
//
// An embedding makes a state of the token; every operator hands it on; the first attention layer
// chains it behind the states of the sequence's earlier tokens, which it finds in the cache. Later
// layers see that this was done and leave the cache alone, so a token costs memory in one layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "device/abi.h"

namespace fathom::sim {

struct RowState {
  uint64_t bits = 0;  // 0: nothing was ever written there

  bool written() const { return bits != 0; }
  // Whether it stands for the whole sequence up to its token, not for the token alone.
  bool attended() const { return (bits & 1) != 0; }
};

// A bijection without fixed patterns (the finaliser of SplitMix64, Steele et al. 2014).
inline uint64_t scramble(uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

inline RowState token_state(int32_t token) {
  return {(scramble(static_cast<uint64_t>(token)) | 2) & ~uint64_t{1}};
}
// The sequence that ends in `before`, or is empty, and then one more token.
inline RowState follow(RowState before, RowState token) {
  return {scramble(before.bits * 3 + token.bits) | 3};
}

inline size_t element_bytes(int32_t dtype) {
  return dtype == FATHOM_F32 ? 4 : dtype == FATHOM_BF16 || dtype == FATHOM_F16 ? 2 : 1;
}

inline RowState load_state(const void* at) {
  RowState state;
  std::memcpy(&state, at, sizeof(state));
  return state;
}

inline std::byte* row_of(const fathom_tensor& tensor, int64_t row) {
  return static_cast<std::byte*>(tensor.data) +
         static_cast<size_t>(row * tensor.stride[0]) * element_bytes(tensor.dtype);
}
inline RowState load_state(const fathom_tensor& tensor, int64_t row) {
  return load_state(row_of(tensor, row));
}
inline void store_state(const fathom_tensor& tensor, int64_t row, RowState state) {
  std::memcpy(row_of(tensor, row), &state, sizeof(state));
}

// Whether each row of the tensor has room for a state.
inline bool holds_states(const fathom_tensor& tensor) {
  return static_cast<size_t>(tensor.shape[1]) * element_bytes(tensor.dtype) >= sizeof(RowState);
}

}  // namespace fathom::sim
