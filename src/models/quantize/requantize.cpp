#include "models/quantize/requantize.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace fathom::models {
namespace {

// Rows in F32 at a time: few enough to stay in a core's cache. A whole block where rows share one.
constexpr int64_t kRows = 8;

}  // namespace

HostRows::HostRows(const Weight& format)
    : data(std::make_unique_for_overwrite<std::byte[]>(data_bytes(format))),
      scale(std::make_unique_for_overwrite<float[]>(scale_bytes(format) / sizeof(float))),
      out{format, data.get(), scale.get()} {}

Weight HostRows::weight() const {
  Weight weight = out.format;
  weight.data = out.data;
  weight.scale = weight.block_n == 0 ? nullptr : out.scale;
  return weight;
}

Status requantize(const TensorSource& source, const std::string& name, const Weight& stored,
                  const WeightOut& out, WeightReport* report) {
  if (stored.data != nullptr && same_format(stored, out.format)) {
    std::memcpy(out.data, stored.data, data_bytes(stored));
    if (stored.scale != nullptr) std::memcpy(out.scale, stored.scale, scale_bytes(stored));
    return {};
  }
  WeightError error;
  const int64_t unit = std::max<int64_t>(kRows, out.format.block_n);
  std::vector<float> rows(static_cast<size_t>(std::min(unit, stored.n) * stored.k));
  for (int64_t begin = 0; begin < stored.n; begin += unit) {
    const int64_t count = std::min(unit, stored.n - begin);
    FATHOM_TRY(source.read_rows(name, stored, begin, count, rows.data()));
    quantize_rows(out, begin, count, rows.data(), error);
  }
  if (!error.finite()) {
    return Error{ErrorCode::kDataCorrupt,
                 source.describe(name) + ": expected finite numbers, got NaN or infinity", name};
  }
  const bool exact = error.squared_error == 0;
  if (report != nullptr && !exact) {
    report->add(name, static_cast<fathom_dtype>(stored.dtype),
                static_cast<fathom_dtype>(out.format.dtype), error);
  }
  return {};
}

}  // namespace fathom::models
