#include "serving/load_report.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace fathom::serving {
namespace {

TEST(LoadReport, TellsSpeedACoreAndMemoryByTheWeights) {
  const LoadReport loading{.seconds = 2,
                           .threads = 4,
                           .stored_bytes = 24'000'000'000,
                           .loaded_bytes = 10'000'000'000,
                           .peak_bytes = 10'500'000'000};
  EXPECT_EQ(loading.text(),
            "loaded 24.00 GB in 2.00 s, 3.00 GB/s a core; memory 10.50 GB at most, 1.05 times the "
            "weights");
  EXPECT_DOUBLE_EQ(loading.json()["gbps_core"], 3.0);
}

TEST(LoadReport, PeakMemoryStaysWhenMemoryIsFreed) {
  constexpr size_t kBytes = 64 << 20;
  const size_t before = peak_memory();
  ASSERT_GT(before, 0u);
  {
    std::vector<char> memory(kBytes);
    std::memset(memory.data(), 1, memory.size());
  }
  EXPECT_GE(peak_memory(), kBytes);
}

}  // namespace
}  // namespace fathom::serving
