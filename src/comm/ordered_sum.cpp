#include "comm/ordered_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.h"

namespace fathom::comm {
namespace {

float load(float value) {
  return value;
}
float load(uint16_t bf16) {
  return std::bit_cast<float>(static_cast<uint32_t>(bf16) << 16);
}

void store(float sum, float& out) {
  out = sum;
}
void store(float sum, uint16_t& out) {
  const auto bits = std::bit_cast<uint32_t>(sum);
  if (std::isnan(sum)) {
    out = static_cast<uint16_t>((bits >> 16) | 0x40);  // stays a NaN
    return;
  }
  out = static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// By blocks, so that the loops over elements vectorise whatever the number of terms is.
template <typename T>
void sum(std::span<const void* const> terms, T* out, int64_t count) {
  constexpr int64_t kBlock = 512;
  float sums[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t size = std::min(kBlock, count - begin);
    const T* first = static_cast<const T*>(terms[0]) + begin;
    for (int64_t i = 0; i < size; ++i) sums[i] = load(first[i]);
    for (const void* term : terms.subspan(1)) {
      const T* values = static_cast<const T*>(term) + begin;
      for (int64_t i = 0; i < size; ++i) sums[i] += load(values[i]);
    }
    for (int64_t i = 0; i < size; ++i) store(sums[i], out[begin + i]);
  }
}

}  // namespace

bool can_sum(fathom_dtype dtype) {
  return dtype == FATHOM_F32 || dtype == FATHOM_BF16;
}

void ordered_sum(fathom_dtype dtype, std::span<const void* const> terms, void* out, int64_t count) {
  FATHOM_CHECK(can_sum(dtype), "ordered_sum: expected f32 or bf16");
  if (dtype == FATHOM_F32) return sum(terms, static_cast<float*>(out), count);
  sum(terms, static_cast<uint16_t*>(out), count);
}

}  // namespace fathom::comm
