#include "api/responses/store.h"

#include <gtest/gtest.h>

namespace fathom::api::responses {
namespace {

TEST(ResponseStore, ForgetsWhatIsTooOld) {
  ResponseStore::Clock::time_point now{};
  ResponseStore store({.lifetime = std::chrono::seconds(10)}, [&now] { return now; });
  store.put("a", {"A", "in"});
  now += std::chrono::seconds(5);
  store.put("b", {"B", "in"});
  EXPECT_EQ(store.find("a")->response, "A");
  now += std::chrono::seconds(5);
  EXPECT_EQ(store.find("a"), nullptr);
  EXPECT_EQ(store.find("b")->response, "B");
  now += std::chrono::seconds(5);
  EXPECT_FALSE(store.erase("b"));
  EXPECT_EQ(store.bytes(), 0u);
}

TEST(ResponseStore, DropsTheOldestForMemory) {
  constexpr size_t kLimit = 10'000;
  ResponseStore store({.max_bytes = kLimit});
  for (int i = 0; i < 100; ++i) {
    store.put(std::to_string(i), {std::string(1000, 'x'), std::string(1000, 'y')});
    EXPECT_LE(store.bytes(), kLimit);
  }
  EXPECT_NE(store.find("99"), nullptr);
  EXPECT_EQ(store.find("90"), nullptr);
  store.put("large", {std::string(kLimit, 'x'), ""});
  EXPECT_EQ(store.find("large"), nullptr);
  EXPECT_NE(store.find("99"), nullptr);
  EXPECT_TRUE(store.erase("99"));
  EXPECT_EQ(store.find("99"), nullptr);
}

}  // namespace
}  // namespace fathom::api::responses
