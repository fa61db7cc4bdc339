#include "base/suggest.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(Suggest, CountsSlipsOfTheHand) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("port", ""), 4);
  EXPECT_EQ(edit_distance("port", "prot"), 1);
  EXPECT_EQ(edit_distance("kernels", "kernel"), 1);
  EXPECT_EQ(edit_distance("threads", "treats"), 2);
}

TEST(Suggest, NamesTheNearestFlag) {
  const std::vector<std::string> flags = {"--model", "--host", "--port", "--threads"};
  EXPECT_EQ(nearest("--prot", flags), "--port");
  EXPECT_EQ(nearest("--thread", flags), "--threads");
  EXPECT_EQ(nearest("--modle", flags), "--model");
}

TEST(Suggest, SaysNothingWhereNothingIsNear) {
  EXPECT_EQ(nearest("--completely-else", {"--port"}), std::nullopt);
  EXPECT_EQ(nearest("x", {}), std::nullopt);
}

}  // namespace
}  // namespace fathom
