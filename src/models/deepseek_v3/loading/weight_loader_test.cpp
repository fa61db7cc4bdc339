#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "models/deepseek_v3/loading/load_weights.h"
#include "models/deepseek_v3/testing/examples.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "models/deepseek_v3/weights/tensor_list.h"
#include "models/quantize/quantize.h"
#include "models/testing/fake_chip.h"

namespace fathom::models::deepseek_v3 {
namespace {

class WeightLoaderTest : public ::testing::Test {
 protected:
  WeightLoaderTest()
      : config_(Config::load(kTiny / "config.json").value()),
        source_(CheckpointSource::open(kTiny, config_).value()) {}

  Weights load(device::Device& device, const LoadOptions& options = {}) {
    return load_weights(source_, config_, device, options).value();
  }

  static std::vector<float> numbers(const Weight& weight) {
    std::vector<float> values(static_cast<size_t>(weight.n * weight.k));
    for (int64_t row = 0; row < weight.n; ++row) {
      dequantize_row(weight, row, values.data() + row * weight.k);
    }
    return values;
  }
  std::vector<float> stored(const std::string& name, const Weight& like) {
    return numbers(source_->matrix(name, like.n, like.k).value());
  }

  Config config_;
  std::shared_ptr<const CheckpointSource> source_;
};

TEST_F(WeightLoaderTest, StaysWhereItIsMapped) {
  FakeChip chip;
  const auto device = chip.open();
  const auto weights = load(*device);
  const auto& w1 = weights.blocks[1].moe->w1[3];
  const auto mapped = source_->matrix("model.layers.1.mlp.experts.3.gate_proj.weight", w1.n, w1.k);
  EXPECT_EQ(w1.data, mapped->data);
  EXPECT_EQ(w1.scale, mapped->scale);
  EXPECT_EQ(w1.dtype, FATHOM_F8_E4M3);
  EXPECT_LT(weights.arena.size(), 64u << 10);  // norms and biases only
}

TEST_F(WeightLoaderTest, IsCopiedWhereTheChipHasItsOwnMemory) {
  FakeChip chip = {.capabilities = 0};
  const auto device = chip.open();
  const auto weights = load(*device);
  const auto& wo = weights.blocks[0].attn.wo;
  const auto mapped = source_->matrix("model.layers.0.self_attn.o_proj.weight", wo.n, wo.k);
  EXPECT_NE(wo.data, mapped->data);
  EXPECT_EQ(numbers(wo), numbers(*mapped));
}

TEST_F(WeightLoaderTest, IsPackedForTheOperatorThatReadsIt) {
  FakeChip chip = {.packs = true};
  const auto device = chip.open();
  for (const auto format : {WeightFormat::kAsStored, WeightFormat::kInt4}) {
    const auto weights = load(*device, {.format = format});
    const auto unpack = [](const Weight& weight) {
      EXPECT_EQ(weight.layout, kFakeLayout);
      FakePacked packed;
      std::memcpy(&packed, weight.data, sizeof(packed));
      return packed;
    };
    const auto& moe = *weights.blocks[1].moe;
    EXPECT_EQ(unpack(moe.w2[0]).op, FATHOM_OP_MOE_EXPERTS);
    EXPECT_EQ(unpack(moe.shared->w2).op, FATHOM_OP_LINEAR);
    EXPECT_EQ(unpack(weights.head).op, FATHOM_OP_LINEAR);
    EXPECT_EQ(unpack(moe.gate).op, FATHOM_OP_LINEAR);
    EXPECT_EQ(weights.embed.layout, FATHOM_LAYOUT_ROWS);
    EXPECT_EQ(weights.blocks[0].attn.wkv_b.layout, FATHOM_LAYOUT_ROWS);
    if (format == WeightFormat::kAsStored) {
      EXPECT_EQ(numbers(unpack(moe.w2[0]).rows),
                stored("model.layers.1.mlp.experts.0.down_proj.weight", moe.w2[0]));
    }
  }
}

TEST_F(WeightLoaderTest, RequantisesWhatMayBe) {
  FakeChip chip;
  const auto device = chip.open();
  WeightReport report;
  const auto weights =
      load(*device, {.format = WeightFormat::kInt4, .threads = 3, .report = &report});
  const auto& block = weights.blocks[1];
  EXPECT_EQ(weights.embed.dtype, FATHOM_BF16);
  EXPECT_EQ(block.moe->gate.dtype, FATHOM_BF16);
  EXPECT_EQ(block.moe->w1[0].dtype, FATHOM_I4);
  EXPECT_EQ(block.attn.wo.dtype, FATHOM_I4);
  EXPECT_EQ(block.attn.wkv_b.dtype, FATHOM_I8);
  EXPECT_EQ(weights.head.dtype, FATHOM_I8);

  const auto was = stored("model.layers.1.self_attn.o_proj.weight", block.attn.wo);
  const auto is = numbers(block.attn.wo);
  double squares = 0;
  double errors = 0;
  for (size_t i = 0; i < was.size(); ++i) {
    squares += double{was[i]} * was[i];
    errors += (double{is[i]} - was[i]) * (double{is[i]} - was[i]);
  }
  EXPECT_LT(errors / squares, 0.01);
  EXPECT_GT(errors, 0);
  EXPECT_NE(report.summary().find("relative error"), std::string::npos) << report.summary();

  const auto alone = load(*device, {.format = WeightFormat::kInt4, .threads = 1});
  EXPECT_EQ(is, numbers(alone.blocks[1].attn.wo));  // however many threads there were
}

TEST_F(WeightLoaderTest, ProgressEndsAtTheTotal) {
  FakeChip chip;
  const auto device = chip.open();
  size_t done = 0;
  size_t total = 1;
  load(*device, {.progress = [&](size_t d, size_t t) {
    done = d;
    total = t;
  }});
  EXPECT_EQ(done, total);
  EXPECT_GT(total, 4u << 20);
}

// tiny stores layers 0 to 3 and its MTP layer as the fourth; where config.json counts other layers,
// the MTP layer is none that is stored, or only in part.
TEST_F(WeightLoaderTest, AnMtpLayerThatIsNotStoredIsNone) {
  EXPECT_FALSE(drop_absent_mtp(*source_, config_));
  EXPECT_EQ(config_.num_nextn_predict_layers, 1);
  Config longer = config_;
  longer.num_hidden_layers = 5;
  EXPECT_TRUE(drop_absent_mtp(*source_, longer));
  EXPECT_EQ(longer.num_nextn_predict_layers, 0);
  EXPECT_FALSE(drop_absent_mtp(*source_, longer));
  Config partly = config_;
  partly.num_hidden_layers = 3;
  EXPECT_FALSE(drop_absent_mtp(*source_, partly));
  FakeChip chip;
  const auto device = chip.open();
  const auto weights = load_weights(source_, partly, *device, {});
  ASSERT_FALSE(weights.ok());
  EXPECT_NE(weights.error().message.find("model.layers.3."), std::string::npos);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
