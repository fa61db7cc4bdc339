// Answers do not depend on the schedule: random engines, loads and cancellations against the
// answer that each request must get alone.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "engine/testing/harness.h"

namespace fathom::engine {
namespace {

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  int64_t up_to(int64_t most) {
    return 1 + static_cast<int64_t>(random_() % static_cast<uint64_t>(most));
  }
  bool one_in(int64_t n) { return up_to(n) == 1; }

 private:
  std::mt19937_64 random_;
};

models::RunLimits random_limits(Dice& dice) {
  models::RunLimits limits;
  limits.kv_block_size = static_cast<int32_t>(dice.up_to(6));
  limits.max_step_sequences = dice.up_to(8);
  limits.max_step_tokens = limits.max_step_sequences + dice.up_to(30) - 1;
  limits.max_logit_rows = limits.max_step_sequences + dice.up_to(8) - 1;
  limits.max_context = 40 + dice.up_to(40);
  const int64_t longest = (limits.max_context + limits.kv_block_size - 1) / limits.kv_block_size;
  limits.num_kv_blocks = longest + (dice.one_in(3) ? 300 : dice.up_to(8));  // roomy or tight
  return limits;
}

Request random_request(Dice& dice, uint64_t seed) {
  Request request = some_request(dice.up_to(35), dice.up_to(30), seed);
  SamplingParams& params = request.sampling;
  if (dice.one_in(3))
    request.generated_from = dice.up_to(static_cast<int64_t>(request.prompt.size()));
  if (dice.one_in(3)) params.temperature = 0.0f;
  if (dice.one_in(4)) params.top_p = 0.8f;
  if (dice.one_in(4)) params.frequency_penalty = 0.5f;
  if (dice.one_in(4)) params.repetition_penalty = 1.3f;
  if (dice.one_in(4)) params.prompt_logprobs = 1;
  if (dice.one_in(4)) params.logprobs = 2;
  if (dice.one_in(5)) params.stop_token_ids = {1, 2, 3};
  request.priority = static_cast<int32_t>(dice.up_to(3));
  if (dice.one_in(5)) request.cache_salt = "tenant";
  return request;
}

// Goes on from an earlier request, as the next turn of a conversation or after a fail-over does.
Request random_follower(Dice& dice, const Request& earlier, int64_t max_context, uint64_t seed) {
  Request request = random_request(dice, seed);
  const Answer answer = expected_answer(earlier, max_context, {0});
  const std::vector<TokenId> rest = request.prompt;
  request.prompt = earlier.prompt;
  request.prompt.insert(request.prompt.end(), answer.tokens.begin(), answer.tokens.end());
  request.prompt.resize(
      static_cast<size_t>(dice.up_to(static_cast<int64_t>(request.prompt.size()))));
  request.prompt.insert(request.prompt.end(), rest.begin(), rest.begin() + dice.up_to(2) - 1);
  request.prompt.resize(std::min(request.prompt.size(), static_cast<size_t>(max_context)));
  request.generated_from.reset();
  const auto size = static_cast<int64_t>(request.prompt.size());
  if (dice.one_in(2)) {
    request.generated_from = std::min(
        size, earlier.generated_from.value_or(static_cast<int64_t>(earlier.prompt.size())));
  }
  request.cache_salt = earlier.cache_salt;
  return request;
}

bool is_prefix(const std::vector<TokenId>& prefix, const std::vector<TokenId>& whole) {
  return prefix.size() <= whole.size() && std::equal(prefix.begin(), prefix.end(), whole.begin());
}

void expect_answer(const Answer& got, const Request& request, int64_t max_context,
                   bool may_be_cancelled) {
  const Answer expected = expected_answer(request, max_context, {0});
  EXPECT_EQ(got.finishes, 1);
  EXPECT_TRUE(got.prompt_first);
  EXPECT_LE(got.queue_times, 1);
  if (got.finish == FinishReason::kCancelled) {
    EXPECT_TRUE(may_be_cancelled);
    EXPECT_TRUE(is_prefix(got.tokens, expected.tokens));
    return;
  }
  EXPECT_EQ(got.tokens, expected.tokens);
  EXPECT_EQ(got.finish, expected.finish);
  if (request.sampling.prompt_logprobs) {
    EXPECT_EQ(got.prompt_logprobs.size(), request.prompt.size() - 1);
    for (size_t i = 0; i < got.prompt_logprobs.size(); ++i) {
      EXPECT_EQ(got.prompt_logprobs[i].token, request.prompt[i + 1]);
    }
  }
  if (request.sampling.logprobs) {
    EXPECT_EQ(got.logprobs.size(), got.tokens.size());
  }
}

TEST(EngineSchedules, AnswersDoNotDependOnTheSchedule) {
  uint64_t preemptions = 0;
  uint64_t cancelled = 0;
  uint64_t cached = 0;
  uint64_t accepted = 0;
  uint64_t rejected = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Dice dice(seed);
    const models::RunLimits limits = random_limits(dice);
    const auto engine = start(limits,
                              {.eos_token_ids = {0},
                               .max_running = dice.up_to(10),
                               .prefill_chunk = dice.up_to(40),
                               .prefix_cache = !dice.one_in(4),
                               .exact = true,
                               .speculate = dice.up_to(4) - 1,
                               .speculate_always = dice.one_in(2)},
                              {}, static_cast<uint64_t>(dice.up_to(4) * 25));
    const auto count = static_cast<size_t>(4 + dice.up_to(12));
    std::vector<Request> requests;
    std::vector<Client> clients(count);
    std::vector<bool> to_cancel;
    for (size_t i = 0; i < count; ++i) {
      const uint64_t own = seed * 1000 + i;
      requests.push_back(i > 0 && dice.one_in(2)
                             ? random_follower(dice, requests[i / 2], engine->max_context(), own)
                             : random_request(dice, own));
      to_cancel.push_back(dice.one_in(4));
      const RequestId id = submit(*engine, requests[i], clients[i]);
      // Some at once, some after a while: wherever they are by then.
      if (to_cancel[i] && dice.one_in(2)) engine->cancel(id);
      if (i > 0 && to_cancel[i - 1]) engine->cancel(id - 1);
    }
    for (size_t i = 0; i < count; ++i) {
      expect_answer(clients[i].wait(), requests[i], engine->max_context(), to_cancel[i]);
    }
    EXPECT_TRUE(engine->idle());
    const EngineStats stats = engine->stats();
    EXPECT_EQ(stats.kv_blocks_used, 0);
    EXPECT_EQ(stats.running, 0);
    EXPECT_EQ(stats.waiting, 0);
    EXPECT_EQ(stats.finished_stop + stats.finished_length + stats.cancelled, count);
    preemptions += stats.preemptions;
    cancelled += stats.cancelled;
    cached += stats.prefix_cache_hits;
    accepted += stats.accepted_draft_tokens;
    rejected += stats.draft_tokens - stats.accepted_draft_tokens;
  }
  EXPECT_GT(preemptions, 50u);
  EXPECT_GT(cancelled, 50u);
  EXPECT_GT(cached, 1000u);
  EXPECT_GT(accepted, 1000u);
  EXPECT_GT(rejected, 1000u);
}

TEST(EngineSchedules, AThousandRequestsFromTwoThreadsLeaveNothingBehind) {
  models::RunLimits limits = roomy_limits();
  limits.num_kv_blocks = 40;
  limits.max_context = 64;
  const auto engine = start(limits, {.max_running = 16, .max_waiting = 2000});
  std::vector<Client> clients(1000);
  const auto submit_half = [&](size_t first) {
    for (size_t i = first; i < clients.size(); i += 2) {
      const RequestId id =
          submit(*engine, some_request(1 + static_cast<int64_t>(i % 20), 8, i), clients[i]);
      if (i % 10 == 0) engine->cancel(id);
      if (i % 50 == 0) {
        EXPECT_GE(engine->stats().kv_blocks_total, 40);
      }
    }
  };
  std::thread other(submit_half, 1);
  submit_half(0);
  other.join();
  for (size_t i = 0; i < clients.size(); ++i) {
    const Answer answer = clients[i].wait();
    const Answer expected =
        expected_answer(some_request(1 + static_cast<int64_t>(i % 20), 8, i), 64);
    EXPECT_TRUE(is_prefix(answer.tokens, expected.tokens));
    if (i % 10 != 0) {
      EXPECT_EQ(answer.tokens, expected.tokens);
    }
  }
  EXPECT_TRUE(engine->idle());
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
}

}  // namespace
}  // namespace fathom::engine
