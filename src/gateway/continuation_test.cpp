#include "gateway/continuation.h"

#include <gtest/gtest.h>

namespace fathom::gateway {
namespace {

using engine::Event;
using engine::FinishReason;
using engine::Request;

Request some_request() {
  Request request;
  request.prompt = {1, 2, 3};
  request.sampling.seed = 7;
  request.sampling.max_tokens = 5;
  request.sampling.min_tokens = 2;
  return request;
}

Event token(int32_t id, int64_t completion_tokens) {
  Event event;
  event.token = id;
  event.usage = {3, 2, completion_tokens};
  return event;
}

Event logprobs_of(std::initializer_list<int32_t> tokens) {
  Event event;
  for (const int32_t token : tokens) event.prompt_logprobs.push_back({token, -1.0f, {}});
  return event;
}

TEST(Continuation, GoesOnFromTheTokensThatWereSent) {
  Continuation answer(some_request());
  EXPECT_EQ(answer.request().prompt, some_request().prompt);
  EXPECT_FALSE(answer.request().generated_from);
  ASSERT_TRUE(answer.translate(token(10, 1)));
  ASSERT_TRUE(answer.translate(token(11, 2)));
  ASSERT_TRUE(answer.translate(token(12, 3)));
  const Request next = answer.request();
  EXPECT_EQ(next.prompt, (std::vector<int32_t>{1, 2, 3, 10, 11, 12}));
  EXPECT_EQ(next.generated_from, 3);
  EXPECT_EQ(next.sampling.max_tokens, 2);
  EXPECT_EQ(next.sampling.min_tokens, 0);
  EXPECT_EQ(next.sampling.seed, 7u);
}

TEST(Continuation, AContinuationKeepsWhereItsAnswerBegan) {
  Request request = some_request();
  request.generated_from = 2;
  Continuation answer(request);
  ASSERT_TRUE(answer.translate(token(10, 1)));
  EXPECT_EQ(answer.request().generated_from, 2);
}

TEST(Continuation, UsageReadsAsOneAnswers) {
  Continuation answer(some_request());
  EXPECT_EQ(answer.translate(token(10, 1))->usage.completion_tokens, 1);
  answer.begin_attempt();
  Event event = token(11, 1);
  event.usage = {4, 0, 1};  // the next engine has another prompt, and other blocks
  const auto told = answer.translate(event);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->usage.prompt_tokens, 3);
  EXPECT_EQ(told->usage.cached_tokens, 2);
  EXPECT_EQ(told->usage.completion_tokens, 2);
}

TEST(Continuation, IsAcceptedOnce) {
  Continuation answer(some_request());
  Event accepted;
  accepted.accepted = true;
  EXPECT_FALSE(answer.accepted());
  EXPECT_TRUE(answer.translate(accepted)->accepted);
  EXPECT_TRUE(answer.accepted());
  answer.begin_attempt();
  EXPECT_FALSE(answer.translate(accepted));
}

TEST(Continuation, TellsEachPromptLogprobOnce) {
  Request request = some_request();
  request.prompt = {1, 2, 3, 4};
  request.sampling.prompt_logprobs = 0;
  Continuation answer(request);
  EXPECT_EQ(answer.translate(logprobs_of({2}))->prompt_logprobs.size(), 1u);
  EXPECT_TRUE(answer.request().sampling.prompt_logprobs);
  answer.begin_attempt();
  EXPECT_FALSE(answer.translate(logprobs_of({2})));
  const auto rest = answer.translate(logprobs_of({3, 4}));
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->prompt_logprobs.size(), 2u);
  EXPECT_EQ(rest->prompt_logprobs[0].token, 3);
  EXPECT_FALSE(answer.request().sampling.prompt_logprobs);
}

TEST(Continuation, TellsNoLogprobOfWhatWasGenerated) {
  Request request = some_request();
  request.sampling.prompt_logprobs = 0;
  Continuation answer(request);
  const auto told = answer.translate(logprobs_of({2, 3, 10}));
  ASSERT_TRUE(told);
  EXPECT_EQ(told->prompt_logprobs.size(), 2u);
}

TEST(Continuation, IsCompleteWhenAllTokensAreThere) {
  Continuation answer(some_request());
  for (int32_t i = 1; i <= 4; ++i) ASSERT_TRUE(answer.translate(token(i, i)));
  EXPECT_FALSE(answer.complete());
  ASSERT_TRUE(answer.translate(token(5, 5)));
  EXPECT_TRUE(answer.complete());
  EXPECT_EQ(answer.usage().completion_tokens, 5);
}

TEST(Continuation, QueueTimeIsToldOnce) {
  Continuation answer(some_request());
  Event event = token(1, 1);
  event.queue_seconds = 0.5;
  EXPECT_TRUE(answer.translate(event)->queue_seconds);
  answer.begin_attempt();
  EXPECT_FALSE(answer.translate(event)->queue_seconds);
}

}  // namespace
}  // namespace fathom::gateway
