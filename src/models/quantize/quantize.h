// Weights in rows to F32 and back: every format of the chip contract.
#pragma once

#include <cstddef>
#include <cstdint>

#include "models/weight_format.h"

namespace fathom::models {

// How far a requantised matrix is from what it was.
struct WeightError {
  double squared_error = 0;  // sum of (new - old)^2
  double squares = 0;        // sum of old^2
  double largest = 0;        // greatest |new - old|

  void add(const WeightError& other);
  // sqrt(squared_error / squares); 0 for a matrix of zeros.
  double relative() const;
  // False where a number was NaN or infinite.
  bool finite() const;
};

// Row `row` of a weight that lies in rows, as F32 out[k]. Its data may have any alignment.
void dequantize_row(const Weight& weight, int64_t row, float* out);

// Whether an I8 matrix has a -128, which the format leaves out so that it is symmetric.
bool holds_minus_128(const Weight& weight);

// A weight in rows whose memory is being filled.
struct WeightOut {
  Weight format = {};  // dtype, blocks, n and k
  std::byte* data = nullptr;
  float* scale = nullptr;
};

// Writes rows [begin, begin + count) from F32 rows[count, k]. `begin` and, unless the matrix ends
// there, `count` are multiples of block_n.
//   F8_E4M3: the scale of a block is its greatest magnitude / 448.
//   I8: the scale of a group is its greatest magnitude / 127.
//   I4: of several scales of a group, each rounded to F16, the one with the least squared error.
void quantize_rows(const WeightOut& out, int64_t begin, int64_t count, const float* rows,
                   WeightError& error);

}  // namespace fathom::models
