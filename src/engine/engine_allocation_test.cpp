// A decode step allocates nothing. A binary of its own, for it replaces the global operator new.
#include <gtest/gtest.h>

#include <optional>

#include "base/testing/allocation_counter.h"
#include "engine/testing/harness.h"

namespace fathom::engine {
namespace {

TEST(EngineAllocation, TheCountingWorks) {
  AllocationCounter allocations;
  ::operator delete(::operator new(1));  // a new expression may be optimised away
  EXPECT_EQ(allocations.stop(), 1);
}

// Of eight requests of all kinds, from a time when all of them are decoding.
int64_t allocations_while_decoding(EngineOptions options) {
  constexpr int64_t kFirst = 20;
  constexpr int64_t kLast = 150;
  const auto engine = start(roomy_limits(), std::move(options), {}, 80);
  Client done;
  int64_t counted = -1;
  std::optional<AllocationCounter> allocations;
  for (size_t i = 0; i < 7; ++i) {
    Request request = some_request(5, 400, i + 1);
    if (i % 2 == 0) request.sampling.top_p = 0.9f;
    if (i % 3 == 0) request.sampling.top_k = 10;
    if (i == 1) request.sampling.repetition_penalty = 1.1f;
    if (i == 2) request.sampling.frequency_penalty = 0.1f;
    if (i == 3) request.sampling.logit_bias = {{1, 1.0f}, {2, -100.0f}};
    if (i == 4) request.sampling.temperature = 0.0f;
    if (i == 5) request.sampling.stop_token_ids = {3};
    if (i == 5) request.sampling.min_tokens = 300;
    EXPECT_TRUE(
        try_submit(*engine, request, [](const Event&) {}).ok());  // collecting would allocate
  }
  auto id = try_submit(*engine, some_request(5, 400, 99),
                       [&, listener = done.listener()](const Event& event) {
                         if (event.usage.completion_tokens == kFirst) {
                           allocations.emplace();
                         }
                         if (event.usage.completion_tokens == kLast) {
                           counted = allocations->stop();
                         }
                         if (event.finish) listener(event);
                       });
  EXPECT_TRUE(id.ok());
  done.wait();
  return counted;
}

TEST(EngineAllocation, ADecodeStepAllocatesNothing) {
  EXPECT_EQ(allocations_while_decoding({}), 0);
}

TEST(EngineAllocation, NeitherDoesSpeculation) {
  EXPECT_EQ(allocations_while_decoding({.speculate = 2, .speculate_always = true}), 0);
  EXPECT_EQ(allocations_while_decoding({.speculate = 1}), 0);
}

}  // namespace
}  // namespace fathom::engine
