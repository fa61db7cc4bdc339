#include "backends/sim/cost_model.h"

#include <gtest/gtest.h>

#include <string>

namespace fathom::sim {
namespace {

TEST(CostModel, FreeWhereNothingIsSaid) {
  const auto model = CostModel::parse("free").value();
  EXPECT_TRUE(model.is_free());
  EXPECT_EQ(model.seconds({1e12, 1e15}), 0);
  EXPECT_TRUE(CostModel::parse("clock=virtual,drafts=0.5").value().is_free());
}

TEST(CostModel, TheSlowerOfReadingAndComputingCounts) {
  const auto model = CostModel::parse("read=1000,flops=2,launch=5").value();
  EXPECT_DOUBLE_EQ(model.seconds({1e9, 0}), 5e-6 + 1e-3);
  EXPECT_DOUBLE_EQ(model.seconds({1e9, 4e9}), 5e-6 + 2e-3);
  EXPECT_DOUBLE_EQ(CostModel::parse("flops=2").value().seconds({1e15, 2e12}), 1);
}

TEST(CostModel, ReadsEverySetting) {
  const auto model = CostModel::parse("memory=2,drafts=0.25,clock=virtual,launch=0.5").value();
  EXPECT_EQ(model.memory_bytes, 2.0 * (1 << 30));
  EXPECT_EQ(model.right_drafts, 0.25);
  EXPECT_FALSE(model.wall_clock);
  EXPECT_DOUBLE_EQ(model.launch_s, 0.5e-6);
}

TEST(CostModel, SaysWhatIsWrong) {
  for (const auto& [text, part] : {std::pair{"read", "read: expected a number"},
                                   {"read=fast", "got fast"},
                                   {"read=-1", "got -1"},
                                   {"read=nan", "got nan"},
                                   {"launch=5us", "got 5us"},
                                   {"drafts=1.5", "from 0 to 1"},
                                   {"clock=sun", "expected wall or virtual"},
                                   {"native", "expected read, flops"},
                                   {"read=1,,flops=1", "expected read, flops"}}) {
    const auto model = CostModel::parse(text);
    ASSERT_FALSE(model.ok()) << text;
    EXPECT_NE(model.error().message.find(part), std::string::npos) << model.error().message;
  }
}

}  // namespace
}  // namespace fathom::sim
