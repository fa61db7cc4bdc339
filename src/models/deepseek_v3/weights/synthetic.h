// Models with random weights, made in memory: for measuring speed without a checkpoint. Every
// format, and every other engine through `fathom convert`, gets the same numbers.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/deepseek_v3/config/config.h"
#include "models/tensor_source.h"

namespace fathom::models::deepseek_v3 {

// "tiny", "v3-mini", "v3-mini-mtp", "v3".
std::vector<std::string> synthetic_names();
// config.json of one of those; the error lists them.
Result<nlohmann::json> synthetic_config(const std::string& name);

// A number depends on its tensor's name, its row and its column only. Matrices have a mean of 0 and
// a deviation of 1 / sqrt(k), so that activations keep their size; all are numbers bf16 holds.
class SyntheticSource final : public TensorSource {
 public:
  bool contains(std::string_view name) const override;
  std::string describe(const std::string& name) const override;
  Result<Weight> matrix(const std::string& name, int64_t n, int64_t k) const override;
  Status check(const std::string& name, const Weight& matrix) const override;
  Status read_rows(const std::string& name, const Weight& matrix, int64_t begin, int64_t count,
                   float* out) const override;
  Result<std::vector<float>> vector(const std::string& name, int64_t n) const override;
  void release(const std::string& name) const override;
};

}  // namespace fathom::models::deepseek_v3
