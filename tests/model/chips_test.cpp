// The embedded model on memory that the host cannot touch: the CPU's bits in forward passes,
// drafts, decoding and blocks that are handed over, in every format of weights; and no byte goes to
// the host but logits.
#include <gtest/gtest.h>

#include <tuple>

#include "chips.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "prompt_steps.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;
using models::WeightFormat;

class LoadedModel {
 public:
  LoadedModel(const std::string& chip, const std::string& kernels, WeightFormat format, bool drafts)
      : device_(open_chip(chip, {.index = 0, .threads = 2, .kernels = kernels})) {
    const auto directory = std::filesystem::path(FATHOM_MODELS) / "tiny";
    auto config = dsv3::Config::load(directory / "config.json").value();
    if (!drafts) config.num_nextn_predict_layers = 0;
    auto limits = prompt_limits();
    limits.kv_dtype = format == WeightFormat::kInt8 ? FATHOM_BF16 : FATHOM_F32;
    auto checkpoint = dsv3::CheckpointSource::open(directory, config).value();
    model_ = dsv3::Model::load(checkpoint, config, *device_, limits, {.format = format}).value();
  }

  dsv3::Model& model() { return *model_; }
  const device::Device& device() const { return *device_; }

 private:
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<dsv3::Model> model_;
};

class ChipsTest : public testing::TestWithParam<std::tuple<const char*, WeightFormat, bool>> {
 protected:
  static Outcome outcome(const std::string& chip) {
    const auto& [kernels, format, drafts] = GetParam();
    LoadedModel loaded(chip, kernels, format, drafts);
    return run_prompts(loaded.model(), 1).value();
  }
};

TEST_P(ChipsTest, MemoryOfTheChipsOwnChangesNoBit) {
  EXPECT_TRUE(outcome(kCpuDiscrete) == outcome(kCpu));
}

std::string name_of(const testing::TestParamInfo<ChipsTest::ParamType>& info) {
  return letters_of(to_string(std::get<1>(info.param))) +
         (std::get<2>(info.param) ? "Drafting" : "Plain");
}

INSTANTIATE_TEST_SUITE_P(Formats, ChipsTest,
                         testing::Combine(testing::Values("native"),
                                          testing::Values(WeightFormat::kBf16, WeightFormat::kFp8,
                                                          WeightFormat::kInt8, WeightFormat::kInt4),
                                          testing::Bool()),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Reference, ChipsTest,
                         testing::Combine(testing::Values("reference"),
                                          testing::Values(WeightFormat::kAsStored),
                                          testing::Bool()),
                         name_of);

TEST(CopiesToTheHost, AreLogitsAlone) {
  LoadedModel loaded(kCpuDiscrete, "native", WeightFormat::kAsStored, true);
  const PromptStep prompts(1, {0, 0, 0}, kPrompts, 0, false);
  const uint64_t before = loaded.device().copied_to_host();
  const auto logits = loaded.model().forward(prompts.batch());
  ASSERT_TRUE(logits.ok());
  EXPECT_EQ(loaded.device().copied_to_host() - before, logits->size_bytes());
  EXPECT_EQ(logits->size(), kPrompts.size() * static_cast<size_t>(loaded.model().vocab_size()));
}

}  // namespace
}  // namespace fathom
