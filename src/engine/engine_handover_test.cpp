// An engine that hands a prompt's KV blocks over, seen from outside.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>

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

// Another engine that computes nothing, and is late to say so for the one prompt that it holds.
class LateSource final : public KvSource {
 public:
  struct Held {
    std::mutex mutex;
    std::condition_variable asked;
    size_t prompt_tokens = 0;  // of the prompt that is held; 0: of none
    std::optional<uint64_t> id;
    KvWanted wanted;
    KvReceiver* receiver = nullptr;
  };
  explicit LateSource(std::shared_ptr<Held> held) : held_(std::move(held)) {}

  void start(KvReceiver& receiver) override { held_->receiver = &receiver; }
  void fetch(uint64_t id, KvWanted wanted) override {
    {
      const std::lock_guard lock(held_->mutex);
      if (wanted.tokens.size() == held_->prompt_tokens) {
        held_->id = id;
        held_->wanted = std::move(wanted);
        held_->asked.notify_all();
        return;
      }
    }
    held_->receiver->ended(id);
  }
  void cancel(uint64_t) override {}
  void taken(uint64_t, int64_t) override {}
  KvTransferStats stats() const override { return {}; }

 private:
  std::shared_ptr<Held> held_;
};

// The beginning of a prompt that is cached when its rest is fetched is there when that has ended,
// though others have needed more blocks than are free beside it.
TEST(EngineHandover, WhatWasCachedBeforeAFetchIsKept) {
  models::RunLimits limits = roomy_limits();
  limits.num_kv_blocks = 40;
  const auto held = std::make_shared<LateSource::Held>();
  auto made = make_engine(std::make_unique<FakeModel>(
                              kVocab, limits, FakeOptions{.steps_in_flight = steps_in_flight()}),
                          {}, std::make_unique<LateSource>(held));
  ASSERT_TRUE(made.ok()) << made.error().message;
  const auto engine = std::move(made).value();
  Request longer = some_request(81, 1, 1);
  Request first = some_request(41, 1, 1);
  first.prompt.assign(longer.prompt.begin(), longer.prompt.begin() + 41);
  ask(*engine, first);
  held->prompt_tokens = longer.prompt.size();
  Client client;
  submit(*engine, longer, client);
  {
    std::unique_lock lock(held->mutex);
    held->asked.wait(lock, [&] { return held->id.has_value(); });
  }
  EXPECT_EQ(held->wanted.first_block, 10);
  for (uint64_t seed = 2; seed < 6; ++seed) ask(*engine, some_request(90, 1, seed));
  EXPECT_EQ(engine->stats().prefix_cache_hits, 0u);
  held->receiver->ended(*held->id);
  EXPECT_EQ(client.wait().tokens, expected_answer(longer, 512).tokens);
  EXPECT_EQ(engine->stats().prefix_cache_hits, 40u);
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
}

}  // namespace
}  // namespace fathom::engine
