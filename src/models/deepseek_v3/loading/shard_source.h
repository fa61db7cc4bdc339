// A rank's part of a model as a source of tensors: rows and columns of another source's. Rows are
// where the other source has them. Columns are copied, each rank its own, when check() is called;
// until then their memory is set aside, but not used.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/deepseek_v3/sharding/shard.h"
#include "models/tensor_source.h"

namespace fathom::models::deepseek_v3 {

class ShardSource final : public TensorSource {
 public:
  static Result<std::shared_ptr<const ShardSource>> make(std::shared_ptr<const TensorSource> whole,
                                                         const std::vector<TensorPart>& parts);

  // Names and the sizes of the parts, in their order.
  const std::vector<TensorSpec>& specs() const { return specs_; }

  bool contains(std::string_view name) const override { return parts_.contains(name); }
  std::string describe(const std::string& name) const override { return whole_->describe(name); }
  // Without data where a part begins or ends within a block that shares a scale.
  Result<Weight> matrix(const std::string& name, int64_t n, int64_t k) const override;
  Status check(const std::string& name, const Weight& matrix) const override;
  Status read_rows(const std::string& name, const Weight& matrix, int64_t begin, int64_t count,
                   float* out) const override;
  Result<std::vector<float>> vector(const std::string& name, int64_t n) const override;
  void release(const std::string& name) const override;

 private:
  struct Part {
    Range rows;
    Range columns;
    Weight whole = {};  // as the other source has it
    Weight own = {};
    // Of columns, until release().
    mutable std::unique_ptr<std::byte[]> data;
    mutable std::unique_ptr<float[]> scale;
  };

  explicit ShardSource(std::shared_ptr<const TensorSource> whole) : whole_(std::move(whole)) {}
  static void place(Part& part);
  static void copy_columns(const Part& part);
  const Part& part(const std::string& name) const;

  std::shared_ptr<const TensorSource> whole_;
  std::vector<TensorSpec> specs_;
  std::map<std::string, Part, std::less<>> parts_;
};

}  // namespace fathom::models::deepseek_v3
