#include "api/context/response_store.h"

#include <gtest/gtest.h>

namespace fathom::api::responses {
namespace {

TEST(ResponseStore, ForgetsWhatIsTooOld) {
  ResponseStore::Clock::time_point now{};
  ResponseStore store({.lifetime = std::chrono::seconds(10)}, [&now] { return now; });
  store.put("us", "a", {"A", "in"});
  now += std::chrono::seconds(5);
  store.put("us", "b", {"B", "in"});
  EXPECT_EQ(store.find("us", "a")->response, "A");
  now += std::chrono::seconds(5);
  EXPECT_EQ(store.find("us", "a"), nullptr);
  EXPECT_EQ(store.find("us", "b")->response, "B");
  now += std::chrono::seconds(5);
  EXPECT_FALSE(store.erase("us", "b"));
  EXPECT_EQ(store.bytes(), 0u);
}

TEST(ResponseStore, DropsTheOldestForMemory) {
  constexpr size_t kLimit = 10'000;
  ResponseStore store({.max_bytes = kLimit});
  for (int i = 0; i < 100; ++i) {
    store.put("us", std::to_string(i), {std::string(1000, 'x'), std::string(1000, 'y')});
    EXPECT_LE(store.bytes(), kLimit);
  }
  EXPECT_NE(store.find("us", "99"), nullptr);
  EXPECT_EQ(store.find("us", "90"), nullptr);
  store.put("us", "large", {std::string(kLimit, 'x'), ""});
  EXPECT_EQ(store.find("us", "large"), nullptr);
  EXPECT_NE(store.find("us", "99"), nullptr);
  EXPECT_TRUE(store.erase("us", "99"));
  EXPECT_EQ(store.find("us", "99"), nullptr);
}

TEST(ResponseStore, AnOwnersResponsesAreNobodyElses) {
  ResponseStore store({});
  store.put("alice", "a", {"A", "in"});
  EXPECT_EQ(store.find("bob", "a"), nullptr);
  EXPECT_FALSE(store.erase("bob", "a"));
  EXPECT_EQ(store.find("alice", "a")->response, "A");
  EXPECT_TRUE(store.erase("alice", "a"));
  EXPECT_EQ(store.bytes(), 0u);
}

TEST(ResponseStore, MemoryIsTakenFromWhoHasMost) {
  ResponseStore store({.max_bytes = 100'000});
  store.put("alice", "first", {std::string(10'000, 'x'), ""});
  store.put("bob", "first", {std::string(10'000, 'x'), ""});
  for (int i = 0; i < 100; ++i) {
    store.put("carol", std::to_string(i), {std::string(10'000, 'x'), ""});
    EXPECT_LE(store.bytes(), 100'000u);
  }
  EXPECT_NE(store.find("alice", "first"), nullptr);
  EXPECT_NE(store.find("bob", "first"), nullptr);
  EXPECT_NE(store.find("carol", "99"), nullptr);
  EXPECT_EQ(store.find("carol", "90"), nullptr);
}

TEST(ResponseStore, OneResponseTakesNoMoreThanItsLimit) {
  ResponseStore store({.max_response_bytes = 5'000});
  store.put("us", "large", {std::string(5'000, 'x'), ""});
  store.put("us", "small", {std::string(1'000, 'x'), ""});
  EXPECT_EQ(store.find("us", "large"), nullptr);
  EXPECT_NE(store.find("us", "small"), nullptr);
}

}  // namespace
}  // namespace fathom::api::responses
