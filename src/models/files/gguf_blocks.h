// The number formats of GGUF tensors. A row is a whole number of blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace fathom::models {

// With the numbers that files have.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,   // 32 numbers: F16 d; 4-bit q: d (q - 8)
  kQ8_0 = 8,   // 32 numbers: F16 d; 8-bit q: d q
  kQ4_K = 12,  // 256 numbers in 8 groups with 6-bit scales and minima
  kQ6_K = 14,  // 256 numbers in 16 groups with 8-bit scales
  kBF16 = 30
};

// Those above, else nothing.
std::optional<GgmlType> ggml_type(uint32_t number);
const char* to_string(GgmlType type);

struct GgmlBlock {
  int64_t values;
  int64_t bytes;
};
GgmlBlock ggml_block(GgmlType type);
// Of `count` values, a whole number of blocks.
int64_t ggml_bytes(GgmlType type, int64_t count);

// Both take a whole number of blocks, at any alignment.
void decode_ggml(GgmlType type, const std::byte* data, int64_t count, float* out);
// F32, F16, BF16, Q8_0 and Q4_0 only.
void encode_ggml(GgmlType type, const float* values, int64_t count, std::byte* out);

}  // namespace fathom::models
