// An engine that hands a prompt's KV blocks over, seen from outside.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "engine/testing/harness.h"

namespace fathom::engine {
namespace {

class CollectingSink final : public KvSink {
 public:
  explicit CollectingSink(bool ready = true) : ready_(ready) {}

  bool ready() const override { return ready_; }
  void take(KvBlocks blocks) override {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(blocks.first, next_);
    EXPECT_LE(blocks.count, models::kMaxKvBlocksACall);
    next_ += blocks.count;
  }
  void open() { ready_ = true; }
  int64_t next() const {
    const std::lock_guard lock(mutex_);
    return next_;
  }

 private:
  std::atomic<bool> ready_;
  mutable std::mutex mutex_;
  int64_t next_ = 0;
};

Request handed_over(int64_t prompt_size, uint64_t seed, std::shared_ptr<KvSink> sink) {
  Request request = some_request(prompt_size, 0, seed);
  request.kv_sink = std::move(sink);
  return request;
}

TEST(EngineHandover, EveryBlockWithATokenBeforeTheLastOneComesInOrder) {
  const auto engine = start(roomy_limits(), {.prefill_chunk = 7});
  for (const int64_t size : {1, 4, 5, 100, 101}) {
    const auto sink = std::make_shared<CollectingSink>();
    Client client;
    submit(*engine, handed_over(size, 1, sink), client);
    EXPECT_EQ(client.wait().finish, FinishReason::kLength);
    EXPECT_EQ(sink->next(), (size - 1 + 3) / 4) << size;
  }
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
}

TEST(EngineHandover, WaitsForRoomAndOthersGoOn) {
  const auto engine = start(roomy_limits());
  const auto sink = std::make_shared<CollectingSink>(false);
  Client slow;
  submit(*engine, handed_over(100, 1, sink), slow);
  const Request request = some_request(30, 10, 2);
  Client other;
  submit(*engine, request, other);
  EXPECT_EQ(other.wait().tokens, expected_answer(request, 512).tokens);
  EXPECT_FALSE(slow.so_far().finish);
  sink->open();
  EXPECT_EQ(slow.wait().finish, FinishReason::kLength);
  EXPECT_EQ(sink->next(), 25);
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
}

// Whoever does not take its blocks away must not keep others from running.
TEST(EngineHandover, BlocksThatOthersNeedAreNotKept) {
  models::RunLimits limits = roomy_limits();
  limits.num_kv_blocks = 30;
  const auto engine = start(limits);
  Client slow;
  submit(*engine, handed_over(100, 1, std::make_shared<CollectingSink>(false)), slow);
  const Request request = some_request(90, 10, 2);
  Client other;
  submit(*engine, request, other);
  EXPECT_EQ(other.wait().tokens, expected_answer(request, 120).tokens);
  const Answer abandoned = slow.wait();
  EXPECT_EQ(abandoned.finish, FinishReason::kError);
  EXPECT_EQ(abandoned.error->code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
}

TEST(EngineHandover, CancelledWhileItWaitsForRoom) {
  const auto engine = start(roomy_limits());
  Client slow;
  const RequestId id =
      submit(*engine, handed_over(100, 1, std::make_shared<CollectingSink>(false)), slow);
  Client other;
  submit(*engine, some_request(30, 10, 2), other);
  other.wait();  // by then the first is computed
  engine->cancel(id);
  EXPECT_EQ(slow.wait().finish, FinishReason::kCancelled);
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
}

}  // namespace
}  // namespace fathom::engine
