// What requantising did to each tensor.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/quantize/quantize.h"

namespace fathom::models {

class WeightReport {
 public:
  // Thread-safe.
  void add(const std::string& tensor, fathom_dtype from, fathom_dtype to, const WeightError& error);

  // "312 tensors requantised, relative error 0.65% on average, 0.91% at worst (NAME)"; "" if none.
  std::string summary() const;
  // JSON lines, sorted by tensor:
  //   {"tensor": NAME, "from": "bf16", "to": "i8", "relative_error": 0.0065, "largest_error": 1e-4}
  Status write(const std::filesystem::path& file) const;

 private:
  struct Entry {
    std::string tensor;
    fathom_dtype from;
    fathom_dtype to;
    WeightError error;
  };
  std::vector<Entry> sorted() const;

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace fathom::models
