// A matrix of a source, written in the format that is wanted.
#pragma once

#include <memory>
#include <string>

#include "models/quantize/quantize.h"
#include "models/quantize/weight_report.h"
#include "models/tensor_source.h"

namespace fathom::models {

// Memory of one weight in rows, on the host.
struct HostRows {
  explicit HostRows(const Weight& format);
  // With pointers to the memory.
  Weight weight() const;

  std::unique_ptr<std::byte[]> data;
  std::unique_ptr<float[]> scale;
  WeightOut out;
};

// Fills `out`, of the shape of `stored`, which source.matrix(name) gave. Where both formats are the
// same and the source has the bytes they are copied. The report, if there is one, hears of an
// error. On the calling thread.
Status requantize(const TensorSource& source, const std::string& name, const Weight& stored,
                  const WeightOut& out, WeightReport* report);

}  // namespace fathom::models
