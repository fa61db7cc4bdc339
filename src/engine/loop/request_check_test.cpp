#include "engine/loop/request_check.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

namespace fathom::engine {
namespace {

constexpr RequestLimits kLimits = {.vocab_size = 100, .max_context = 20, .cache_capacity = 16};

Request good_request() {
  Request request;
  request.prompt = {1, 2, 3};
  return request;
}

TEST(RequestCheck, AcceptsTheEdgesOfEveryRange) {
  Request request = good_request();
  request.prompt.assign(16, 99);
  request.generated_from = 16;
  static_cast<sampling::Parameters&>(request.sampling) = {
      .temperature = 0.0f,
      .top_p = 1.0f,
      .min_p = 1.0f,
      .presence_penalty = -2.0f,
      .frequency_penalty = 2.0f,
      .repetition_penalty = 0.01f,
      .logit_bias = {{0, -100.0f}, {99, 100.0f}}};
  request.sampling.max_tokens = std::numeric_limits<int64_t>::max();
  request.sampling.stop_token_ids = {0, 99};
  request.sampling.logprobs = 0;
  request.sampling.prompt_logprobs = kMaxTopLogprobs;
  const Status status = check_request(request, kLimits);
  EXPECT_TRUE(status.ok()) << status.error().message;
}

TEST(RequestCheck, NamesTheFieldAtFault) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<const char*, std::function<void(Request&)>>> faults = {
      {"prompt", [](Request& r) { r.prompt.clear(); }},
      {"prompt", [](Request& r) { r.prompt.assign(17, 1); }},
      {"prompt", [](Request& r) { r.prompt.assign(21, 1); }},
      {"prompt", [](Request& r) { r.prompt[1] = 100; }},
      {"prompt", [](Request& r) { r.prompt[2] = -1; }},
      {"generated_from", [](Request& r) { r.generated_from = 0; }},
      {"generated_from", [](Request& r) { r.generated_from = 4; }},
      {"temperature", [](Request& r) { r.sampling.temperature = -0.1f; }},
      {"temperature", [=](Request& r) { r.sampling.temperature = nan; }},
      {"temperature", [=](Request& r) { r.sampling.temperature = infinity; }},
      {"top_p", [](Request& r) { r.sampling.top_p = 0.0f; }},
      {"top_p", [](Request& r) { r.sampling.top_p = 1.1f; }},
      {"top_p", [=](Request& r) { r.sampling.top_p = nan; }},
      {"top_k", [](Request& r) { r.sampling.top_k = -1; }},
      {"min_p", [](Request& r) { r.sampling.min_p = 1.5f; }},
      {"presence_penalty", [](Request& r) { r.sampling.presence_penalty = 2.1f; }},
      {"frequency_penalty", [](Request& r) { r.sampling.frequency_penalty = -2.1f; }},
      {"repetition_penalty", [](Request& r) { r.sampling.repetition_penalty = 0.0f; }},
      {"repetition_penalty", [=](Request& r) { r.sampling.repetition_penalty = infinity; }},
      {"logit_bias",
       [](Request& r) {
         r.sampling.logit_bias = {{100, 1.0f}};
       }},
      {"logit_bias",
       [](Request& r) {
         r.sampling.logit_bias = {{-1, 1.0f}};
       }},
      {"logit_bias",
       [=](Request& r) {
         r.sampling.logit_bias = {{1, nan}};
       }},
      {"max_tokens", [](Request& r) { r.sampling.max_tokens = -1; }},
      {"min_tokens", [](Request& r) { r.sampling.min_tokens = -1; }},
      {"logprobs", [](Request& r) { r.sampling.logprobs = -1; }},
      {"logprobs", [](Request& r) { r.sampling.logprobs = kMaxTopLogprobs + 1; }},
      {"prompt_logprobs", [](Request& r) { r.sampling.prompt_logprobs = -1; }},
      {"stop_token_ids", [](Request& r) { r.sampling.stop_token_ids = {100}; }},
  };
  for (const auto& [field, spoil] : faults) {
    Request request = good_request();
    spoil(request);
    const Status status = check_request(request, kLimits);
    ASSERT_FALSE(status.ok()) << field;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(status.error().where, field);
    EXPECT_NE(status.error().message.find("expected"), std::string::npos);
  }
}

TEST(RequestCheck, NamesBothCountsOfALongPrompt) {
  Request request = good_request();
  request.prompt.assign(21, 1);
  EXPECT_EQ(check_request(request, kLimits).error().message,
            "prompt: expected at most 20 tokens (the model's context), got 21");
  request.prompt.assign(17, 1);
  EXPECT_EQ(check_request(request, kLimits).error().message,
            "prompt: expected at most 16 tokens (what the KV cache holds), got 17");
}

}  // namespace
}  // namespace fathom::engine
