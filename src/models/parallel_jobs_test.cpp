#include "models/parallel_jobs.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <string>

namespace fathom::models {
namespace {

TEST(ParallelJobs, RunsEachOnce) {
  std::array<std::atomic<int>, 100> runs = {};
  int idle = 0;
  const auto status = run_jobs(
      runs.size(), 4,
      [&](size_t i) -> Status {
        ++runs[i];
        return {};
      },
      [&] { ++idle; });
  EXPECT_TRUE(status.ok());
  for (const auto& count : runs) EXPECT_EQ(count, 1);
  EXPECT_GE(idle, 1);
  EXPECT_TRUE(run_jobs(0, 0, {}, [] {}).ok());
}

TEST(ParallelJobs, TheFirstFailureByNumberCounts) {
  for (int repeat = 0; repeat < 50; ++repeat) {
    const auto status = run_jobs(
        40, 4,
        [](size_t i) -> Status {
          if (i % 7 == 3) return invalid_argument(std::to_string(i));
          return {};
        },
        [] {});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message, "3");
  }
}

}  // namespace
}  // namespace fathom::models
