// Where a model's tensors come from, under the names of the released checkpoints: files on disk,
// another engine's format, or a random number generator.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/weight_format.h"

namespace fathom::models {

// All functions may be called from several threads. Errors name the file and the tensor.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  virtual bool contains(std::string_view name) const = 0;
  // "FILE: tensor NAME", for messages.
  virtual std::string describe(const std::string& name) const = 0;

  // A matrix [n, k], its shape and type checked. Its data and scales point into host memory, in
  // rows, with any alignment; where they are null, only read_rows() has the numbers and the format
  // is the one that suits them best.
  virtual Result<Weight> matrix(const std::string& name, int64_t n, int64_t k) const = 0;
  // Whether the numbers of a matrix with data are what its format allows: finite scales, scales of
  // I4 that F16 holds, no I8 of -128. Reads every page.
  virtual Status check(const std::string& name, const Weight& matrix) const = 0;
  // Rows [begin, begin + count) as F32 out[count, k].
  virtual Status read_rows(const std::string& name, const Weight& matrix, int64_t begin,
                           int64_t count, float* out) const = 0;
  // A vector [n], all numbers finite.
  virtual Result<std::vector<float>> vector(const std::string& name, int64_t n) const = 0;

  // The memory behind a matrix will not be read soon: a file's pages may go.
  virtual void release(const std::string& name) const = 0;
};

}  // namespace fathom::models
