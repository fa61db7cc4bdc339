// A GGUF file of architecture "deepseek2" as a source of tensors under their released names.
#pragma once

#include <memory>

#include "models/deepseek_v3/config/config.h"
#include "models/files/gguf.h"
#include "models/tensor_source.h"

namespace fathom::models::deepseek_v3 {

// The format that suits a matrix: BF16 for 16 bits a number; I8 for Q8_0 and Q6_K; I4 for Q4_0 and
// Q4_K, but I8 for the head and wkv_b, and BF16 for a quantised embedding or router.
class GgufSource final : public TensorSource {
 public:
  GgufSource(std::unique_ptr<GgufFile> file, const Config& config)
      : file_(std::move(file)), config_(config) {}

  bool contains(std::string_view name) const override;
  std::string describe(const std::string& name) const override;
  Result<Weight> matrix(const std::string& name, int64_t n, int64_t k) const override;
  Status check(const std::string& name, const Weight& matrix) const override;
  Status read_rows(const std::string& name, const Weight& matrix, int64_t begin, int64_t count,
                   float* out) const override;
  Result<std::vector<float>> vector(const std::string& name, int64_t n) const override;
  void release(const std::string& name) const override;

 private:
  Result<const GgufTensor*> find(const std::string& name, const std::string& tensor,
                                 const std::vector<int64_t>& shape) const;
  bool splits_kv_b(const std::string& name) const;
  Result<Weight> split_matrix(const std::string& name, int64_t n, int64_t k) const;
  void read_split_rows(const std::string& name, int64_t begin, int64_t count, float* out) const;

  std::unique_ptr<GgufFile> file_;
  Config config_;
};

}  // namespace fathom::models::deepseek_v3
