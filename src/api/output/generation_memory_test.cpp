// What becomes of a request for whose answer there is no memory.
#include <gtest/gtest.h>

#include "api/testing/harness.h"
#include "base/testing/allocation_counter.h"

namespace fathom::api {
namespace {

// nlohmann's JSON values allocate where they are destroyed, and end the process where that fails:
// some bytes for each member, of which no event has as many as make these.
constexpr size_t kBeyondJsonsOwn = 256;

// The engine's thread is to hear nothing of it, whichever allocation fails: either the answer goes
// on, or the request is cancelled and the writer let go of or told.
void fail_each(const Json& body) {
  constexpr int kMost = 2000;
  bool failed = true;
  for (int good = 0; failed; ++good) {
    ASSERT_LT(good, kMost);
    Harness harness;
    std::weak_ptr<FakeWriter> writer = harness.chat(body);
    ASSERT_EQ(harness.engine.requests.size(), 1u);
    engine::Event event = harness.engine.event(0);
    event.token = 'x';
    event.logprob = engine::TokenLogprob{'x', -0.1f, {{'x', -0.1f}, {'y', -0.2f}}};
    {
      const AllocationFailure failure(good, kBeyondJsonsOwn);
      EXPECT_NO_THROW(harness.engine.send(0, event)) << good;
      failed = failure.happened();
    }
    const bool told = writer.expired() || writer.lock()->sends > 0 || writer.lock()->ended;
    EXPECT_TRUE(!harness.engine.requests[0].cancelled || told) << good;
    if (!failed) {
      EXPECT_FALSE(harness.engine.requests[0].cancelled);
    }
    harness.engine.send(0, event);  // late ones are taken quietly
  }
}

TEST(GenerationMemory, AStreamEndsAlone) {
  fail_each({{"stream", true}, {"logprobs", true}, {"top_logprobs", 2}});
}

TEST(GenerationMemory, AWholeAnswerEndsAlone) {
  fail_each({{"logprobs", true}, {"top_logprobs", 2}});
}

}  // namespace
}  // namespace fathom::api
