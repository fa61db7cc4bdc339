// The formats a weight can be kept in, and which one a matrix gets when it is requantised.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "device/tensor.h"

namespace fathom::models {

using device::Weight;

// What `--weights` says.
enum class WeightFormat { kAsStored, kBf16, kFp8, kInt8, kInt4 };

inline constexpr std::array kWeightFormats = {WeightFormat::kAsStored, WeightFormat::kBf16,
                                              WeightFormat::kFp8, WeightFormat::kInt8,
                                              WeightFormat::kInt4};

// "as-stored", "bf16", "fp8", "int8", "int4".
const char* to_string(WeightFormat format);

// What a matrix is for. It decides which operator reads it and how coarse it may be.
enum class WeightUse {
  kEmbedding,  // looked up by token
  kRouter,     // chooses experts: an error here changes which ones
  kLinear,
  kExpert,
  kAttention,  // wkv_b, read by the attention kernels
  kHead,       // the last one before the logits
};

// Rows and columns that share a scale in Fathom's own formats.
constexpr int32_t kInt8Group = 128;
constexpr int32_t kInt4Group = 32;
constexpr int32_t kFp8Block = 128;

// The type of a matrix [n, k] for `use` in `format`, where its source has it as `stored`.
// Embedding and router stay as they are. Of 4-bit models, wkv_b and the head are int8: they are
// small and every token's output passes through them.
fathom_dtype choose_dtype(WeightFormat format, WeightUse use, fathom_dtype stored, int64_t k);

// A weight [n, k] in rows, without data; with Fathom's own group sizes.
Weight weight_in_rows(fathom_dtype dtype, int64_t n, int64_t k);

// What choose_dtype() makes of a stored matrix, without data; with its own blocks if it stays.
Weight choose_format(WeightFormat format, WeightUse use, const Weight& stored);

// Its bytes, and those of its scales.
size_t data_bytes(const Weight& weight);
size_t scale_bytes(const Weight& weight);
size_t weight_bytes(const Weight& weight);  // both
// Scales in a row of the scale matrix; 0 for formats without.
int64_t scale_columns(const Weight& weight);
int64_t scale_rows(const Weight& weight);

// Whether both hold numbers in the same way, so that bytes can be copied.
bool same_format(const Weight& a, const Weight& b);

}  // namespace fathom::models
