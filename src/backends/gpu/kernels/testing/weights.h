// Weights of any format that kernels take, for tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "backends/gpu/kernels/testing/chips.h"
#include "device/abi.h"

namespace fathom::gpu::test {

inline constexpr int32_t kFormats[] = {FATHOM_BF16, FATHOM_F8_E4M3, FATHOM_I8};

// Values of about 1 / sqrt(k), so that products with numbers of about 1 are about 1.
struct TestWeight {
  int32_t dtype;
  int64_t n, k;
  int32_t block_n, block_k;
  std::vector<uint8_t> bytes;
  std::vector<float> scales;

  TestWeight(std::mt19937& random, int32_t dtype_of, int64_t rows, int64_t columns)
      : dtype(dtype_of),
        n(rows),
        k(columns),
        block_n(dtype == FATHOM_BF16 ? 0
                : dtype == FATHOM_I8 ? 1
                                     : 128),
        block_k(dtype == FATHOM_BF16 ? 0 : 128) {
    const float size = 1 / std::sqrt(static_cast<float>(k));
    if (dtype == FATHOM_BF16) {
      for (const float value : random_bf16(random, n * k, size)) {
        const uint16_t bits = to_bf16(value);
        bytes.push_back(static_cast<uint8_t>(bits));
        bytes.push_back(static_cast<uint8_t>(bits >> 8));
      }
      return;
    }
    // E4M3 below 2, subnormal numbers among them; or all of int8 but -128.
    std::uniform_int_distribution<int> codes(0, dtype == FATHOM_I8 ? 254 : 0x7f);
    for (int64_t i = 0; i < n * k; ++i) {
      const int code = codes(random);
      bytes.push_back(static_cast<uint8_t>(
          dtype == FATHOM_I8 ? code - 127 : (code & 0x3f) | (code & 0x40) << 1));
    }
    const int64_t blocks = (n + block_n - 1) / block_n * ((k + block_k - 1) / block_k);
    const float greatest = dtype == FATHOM_I8 ? 73.0f : 0.6f;
    std::uniform_real_distribution<float> factors(0.5f, 1.5f);
    for (int64_t i = 0; i < blocks; ++i) scales.push_back(factors(random) * size / greatest);
  }

  fathom_weight on(TestChip& chip) const {
    return {chip.upload(bytes),
            scales.empty() ? nullptr : chip.upload(scales),
            dtype,
            block_n,
            block_k,
            FATHOM_LAYOUT_ROWS,
            n,
            k};
  }
  fathom_weight format() const {
    return {nullptr, nullptr, dtype, block_n, block_k, FATHOM_LAYOUT_ROWS, n, k};
  }
};

inline std::vector<float> rows_of_matrix(const std::vector<float>& all, int64_t columns,
                                         int64_t begin, int64_t count) {
  return {all.begin() + begin * columns, all.begin() + (begin + count) * columns};
}

}  // namespace fathom::gpu::test
