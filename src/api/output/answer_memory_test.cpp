#include "api/output/answer_memory.h"

#include <gtest/gtest.h>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

TEST(AnswerMemory, IsGivenBack) {
  AnswerMemory memory(100);
  auto first = memory.take(60);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(memory.take(41).error().code, ErrorCode::kResourceExhausted);
  const auto second = memory.take(40);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(memory.take(101).error().code, ErrorCode::kInvalidArgument);
  first = AnswerMemory::Hold();
  EXPECT_EQ(memory.taken(), 40u);
  EXPECT_TRUE(memory.take(60).ok());
}

Json with_logprobs(int n, int max_tokens) {
  return {{"n", n}, {"max_tokens", max_tokens}, {"logprobs", true}, {"top_logprobs", 20}};
}

TEST(AnswerMemory, LogprobsThatCannotFitAreRefused) {
  ApiOptions options = Harness::default_options();
  options.answer_memory_bytes = 1 << 20;
  Harness harness(options);
  const Json error = expect_error(*harness.chat(with_logprobs(128, 100)), 400);
  EXPECT_EQ(error["param"], "top_logprobs");
  expect_error(*harness.post("/v1/completions",
                             {{"prompt", "x"}, {"n", 128}, {"logprobs", 20}, {"max_tokens", 100}}),
               400);
  expect_error(*harness.post("/v1/completions", {{"prompt", std::string(900, 'x')},
                                                 {"n", 30},
                                                 {"logprobs", 20},
                                                 {"echo", true},
                                                 {"max_tokens", 0}}),
               400);
  expect_error(
      *harness.post(
          "/v1/responses",
          {{"input", "x"}, {"top_logprobs", 20}, {"max_output_tokens", 900}, {"stream", true}}),
      400);
  EXPECT_TRUE(harness.engine.requests.empty());
  Json streamed = with_logprobs(128, 100);
  streamed["stream"] = true;  // is written as it comes
  harness.chat(streamed);
  EXPECT_EQ(harness.engine.requests.size(), 128u);
}

TEST(AnswerMemory, WhatOthersHoldIsWaitedFor) {
  ApiOptions options = Harness::default_options();
  options.answer_memory_bytes = 1 << 20;
  Harness harness(options);
  const auto first = harness.chat(with_logprobs(1, 300));
  ASSERT_EQ(harness.engine.requests.size(), 1u);
  const auto second = harness.chat(with_logprobs(1, 300));
  expect_error(*second, 429);
  EXPECT_FALSE(second->header("retry-after").empty());
  first->go_away();
  harness.chat(with_logprobs(1, 300));
  EXPECT_EQ(harness.engine.requests.size(), 2u);
}

TEST(AnswerMemory, AWholeAnswerHasTheLogprobsOfAllItsTokens) {
  Harness harness;
  const auto writer = harness.chat(with_logprobs(128, 50));
  ASSERT_EQ(harness.engine.requests.size(), 128u);
  for (size_t i = 0; i < 128; ++i) {
    harness.engine.text(i, "abc\"\n");
    harness.engine.finish(i);
  }
  const Json body = writer->json();
  ASSERT_EQ(body["choices"].size(), 128u);
  for (const Json& choice : body["choices"]) {
    EXPECT_EQ(choice["message"]["content"], "abc\"\n");
    ASSERT_EQ(choice["logprobs"]["content"].size(), 5u);
    EXPECT_EQ(choice["logprobs"]["content"][3]["token"], "\"");
    EXPECT_EQ(choice["logprobs"]["content"][4]["top_logprobs"].size(), 20u);
  }
}

}  // namespace
}  // namespace fathom::api
