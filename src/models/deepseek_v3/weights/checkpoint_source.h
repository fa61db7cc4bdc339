// A model directory as a source of tensors: as released (F32, BF16, FP8 with block scales), or as
// `fathom convert` writes it (I8, I4 with group scales); docs/formats.md.
#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <mutex>

#include "models/deepseek_v3/config/config.h"
#include "models/files/safetensors.h"
#include "models/tensor_source.h"

namespace fathom::models::deepseek_v3 {

// Of a matrix `name`: where its scales are stored. Empty for formats without.
std::string scale_name(const std::string& name, fathom_dtype dtype);

class CheckpointSource final : public TensorSource {
 public:
  static Result<std::shared_ptr<const CheckpointSource>> open(
      const std::filesystem::path& directory, const Config& config);

  bool contains(std::string_view name) const override { return checkpoint_.contains(name); }
  std::string describe(const std::string& name) const override;
  Result<Weight> matrix(const std::string& name, int64_t n, int64_t k) const override;
  Status check(const std::string& name, const Weight& matrix) const override;
  Status read_rows(const std::string& name, const Weight& matrix, int64_t begin, int64_t count,
                   float* out) const override;
  Result<std::vector<float>> vector(const std::string& name, int64_t n) const override;
  void release(const std::string& name) const override;

 private:
  CheckpointSource(Checkpoint checkpoint, const Config& config)
      : checkpoint_(std::move(checkpoint)), config_(config) {}
  Result<const float*> scales(const std::string& name, const Weight& matrix) const;

  Checkpoint checkpoint_;
  Config config_;
  // Scales that a file holds at an odd address; floats must be aligned.
  mutable std::mutex mutex_;
  mutable std::list<std::vector<float>> aligned_;
};

}  // namespace fathom::models::deepseek_v3
