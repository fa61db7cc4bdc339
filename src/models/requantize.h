// A matrix of a source, written in the format that is wanted.
#pragma once

#include "models/quantize.h"
#include "models/tensor_source.h"

namespace fathom::models {

// Fills `out`, of the shape of `stored`, which source.matrix(name) gave. Where both formats are the
// same and the source has the bytes they are copied and the error is zero. On the calling thread.
Result<WeightError> requantize(const TensorSource& source, const std::string& name,
                               const Weight& stored, const WeightOut& out);

}  // namespace fathom::models
