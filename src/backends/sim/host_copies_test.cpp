#include "backends/sim/host_copies.h"

#include <gtest/gtest.h>

namespace fathom::sim {
namespace {

TEST(HostCopies, ArriveAtTheirTimeWithWhatWasThereBefore) {
  HostCopies copies;
  int from = 1;
  int first = 0;
  int second = 0;
  copies.add(&first, &from, sizeof(from), Seconds(2));
  from = 2;
  copies.add(&second, &from, sizeof(from), Seconds(1));
  copies.deliver(Seconds(0.5));
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 0);
  copies.deliver(Seconds(1));
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 2);
  from = 3;
  copies.add(&second, &from, sizeof(from), Seconds(3));
  copies.deliver(Seconds(2));
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
  copies.deliver(Seconds(3));
  EXPECT_EQ(second, 3);
}

TEST(HostCopies, ToTheSamePlaceKeepTheirOrder) {
  HostCopies copies;
  int to = 0;
  for (int i = 1; i <= 5; ++i) copies.add(&to, &i, sizeof(i), Seconds(i % 2));
  copies.deliver(Seconds(9));
  EXPECT_EQ(to, 5);
}

}  // namespace
}  // namespace fathom::sim
