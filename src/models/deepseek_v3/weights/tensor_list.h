// Every tensor of a model, under its released name: the one place that knows them. Loading and
// converting go through this list.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/deepseek_v3/weights/weights.h"

namespace fathom::models::deepseek_v3 {

// What walk_weights() asks for each tensor, in the order of the forward pass.
class WeightVisitor {
 public:
  virtual ~WeightVisitor() = default;
  // Tensors that a checkpoint may leave out.
  virtual bool contains(std::string_view name) const = 0;
  virtual Result<Weight> matrix(const std::string& name, int64_t n, int64_t k, WeightUse use) = 0;
  virtual Result<const float*> vector(const std::string& name, int64_t n) = 0;
};

// The weights made of what the visitor returns, without their owners.
Result<Weights> walk_weights(const Config& config, WeightVisitor& visitor);

struct TensorSpec {
  std::string name;
  int64_t n = 0;
  int64_t k = 0;  // 0: a vector [n]
  WeightUse use = WeightUse::kLinear;

  bool is_vector() const { return k == 0; }
};

// What a model of `config` that comes from `source` consists of.
std::vector<TensorSpec> list_tensors(const Config& config, const TensorSource& source);
// The same where nothing is left out, as in the release.
std::vector<TensorSpec> list_tensors(const Config& config);

// Where `config` names an MTP layer of which `source` stores no tensor, as conversions by Hugging
// Face's classes leave it, says in `config` that there is none. True if it did.
bool drop_absent_mtp(const TensorSource& source, Config& config);

}  // namespace fathom::models::deepseek_v3
