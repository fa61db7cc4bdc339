#include "models/deepseek_v3/weights.h"

#include "models/deepseek_v3/tensor_list.h"
#include "models/deepseek_v3/weight_loader.h"

namespace fathom::models::deepseek_v3 {
namespace {

// Puts loaded tensors where they belong.
class Assembler final : public WeightVisitor {
 public:
  explicit Assembler(const LoadedTensors& loaded) : loaded_(loaded) {}

  bool contains(std::string_view name) const override { return loaded_.matrices.contains(name); }
  Result<Weight> matrix(const std::string& name, int64_t, int64_t, WeightUse) override {
    return loaded_.matrices.find(name)->second;
  }
  Result<const float*> vector(const std::string& name, int64_t) override {
    return loaded_.vectors.find(name)->second;
  }

 private:
  const LoadedTensors& loaded_;
};

}  // namespace

Result<Weights> Weights::load(std::shared_ptr<const TensorSource> source, const Config& config,
                              device::Device& device, const LoadOptions& options) {
  FATHOM_ASSIGN(LoadedTensors loaded,
                load_tensors(*source, list_tensors(config, *source), device, options));
  Assembler assembler(loaded);
  FATHOM_ASSIGN(Weights weights, walk_weights(config, assembler));
  weights.source = std::move(source);
  weights.arena = std::move(loaded.arena);
  return weights;
}

}  // namespace fathom::models::deepseek_v3
