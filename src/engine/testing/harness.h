// What the engine's tests share: a client that collects a request's events, a gate that holds the
// model, and the answer that a request must get from the fake model whatever else runs.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/testing/fake_model.h"
#include "sampling/sampler.h"

namespace fathom::engine {

struct Answer {
  std::vector<TokenId> tokens;
  std::vector<TokenLogprob> logprobs;
  std::vector<TokenLogprob> prompt_logprobs;
  std::optional<FinishReason> finish;
  std::optional<TokenId> stop_token;
  std::optional<Error> error;
  Usage usage;
  int finishes = 0;
  int queue_times = 0;
  bool prompt_first = true;  // no prompt log-probability came after a token
};

// Collects the events of one request. Copies share what they collected.
class Client {
 public:
  // Also calls `on_event` for each event, on the engine's thread.
  Listener listener(Listener on_event = {}) {
    return [state = state_, on_event = std::move(on_event)](const Event& event) {
      if (on_event) on_event(event);
      const std::lock_guard lock(state->mutex);
      collect(state->answer, event);
      if (event.finish) state->changed.notify_all();
    };
  }

  // Waits for the last event.
  Answer wait() const {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->answer.finish.has_value(); });
    return state_->answer;
  }

  Answer so_far() const {
    const std::lock_guard lock(state_->mutex);
    return state_->answer;
  }

  // Whether the engine still holds a listener of this client.
  bool listening() const { return state_.use_count() > 1; }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    Answer answer;
  };

  static void collect(Answer& answer, const Event& event) {
    if (!event.prompt_logprobs.empty() && !answer.tokens.empty()) answer.prompt_first = false;
    for (const TokenLogprob& logprob : event.prompt_logprobs) {
      answer.prompt_logprobs.push_back(logprob);
    }
    if (event.token) answer.tokens.push_back(*event.token);
    if (event.logprob) answer.logprobs.push_back(*event.logprob);
    if (event.stop_token) answer.stop_token = event.stop_token;
    if (event.error) answer.error = event.error;
    if (event.queue_seconds) ++answer.queue_times;
    answer.usage = event.usage;
    if (event.finish) {
      answer.finish = event.finish;
      ++answer.finishes;
    }
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Closed at first: pass() waits until it is opened.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrivals_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  int arrivals() {
    const std::lock_guard lock(mutex_);
    return arrivals_;
  }
  void wait_for_arrival() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return arrivals_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int arrivals_ = 0;
};

// Holds the first step, so that requests submitted meanwhile do meet.
inline FakeOptions::BeforeStep behind(Gate& gate) {
  return [&gate](const models::StepBatch&) {
    gate.pass();
    return Status();
  };
}

inline constexpr int64_t kVocab = 48;

inline models::RunLimits roomy_limits() {
  return {.max_step_tokens = 1024,
          .max_logit_rows = 256,
          .max_context = 512,
          .max_step_sequences = 64,
          .num_kv_blocks = 1024,
          .kv_block_size = 4};
}

// Of the models of all tests that choose none: the suite runs once with 1 and once with 2.
inline int64_t steps_in_flight() {
  const char* const steps = std::getenv("FATHOM_TEST_STEPS_IN_FLIGHT");
  return steps != nullptr ? std::atoi(steps) : 1;
}

inline std::unique_ptr<Engine> start_over(FakeOptions model, const models::RunLimits& limits,
                                          EngineOptions options = {}) {
  auto engine = make_engine(std::make_unique<FakeModel>(kVocab, limits, std::move(model)),
                            std::move(options));
  EXPECT_TRUE(engine.ok()) << engine.error().message;
  return std::move(engine).value();
}

inline std::unique_ptr<Engine> start(const models::RunLimits& limits, EngineOptions options = {},
                                     FakeOptions::BeforeStep before_step = {},
                                     std::optional<uint64_t> right_drafts = {}) {
  return start_over({.before_step = std::move(before_step),
                     .right_drafts = right_drafts,
                     .steps_in_flight = steps_in_flight()},
                    limits, std::move(options));
}

// Of an engine in this process, which accepts or refuses at once; `listener` hears what follows.
inline Result<RequestId> try_submit(Engine& engine, Request request, Listener listener) {
  const auto refusal = std::make_shared<std::optional<Error>>();
  const RequestId id = engine.submit(std::move(request),
                                     [refusal, listener = std::move(listener)](const Event& event) {
                                       if (event.finish == FinishReason::kRefused) {
                                         *refusal = event.error;
                                       } else if (!event.accepted) {
                                         listener(event);
                                       }
                                     });
  if (*refusal) return **refusal;
  return id;
}

inline RequestId submit(Engine& engine, const Request& request, Client& client,
                        Listener on_event = {}) {
  const auto id = try_submit(engine, request, client.listener(std::move(on_event)));
  EXPECT_TRUE(id.ok()) << id.error().message;
  return *id;
}

inline Answer ask(Engine& engine, const Request& request) {
  Client client;
  submit(engine, request, client);
  return client.wait();
}

// `size` tokens that differ by `seed`.
inline std::vector<TokenId> some_tokens(int64_t size, uint64_t seed) {
  std::vector<TokenId> tokens;
  for (int64_t i = 0; i < size; ++i) {
    const uint64_t bits = fake_mix(seed * 7919 + static_cast<uint64_t>(i));
    tokens.push_back(static_cast<TokenId>(bits % kVocab));
  }
  return tokens;
}

inline Request some_request(int64_t prompt_size, int64_t max_tokens, uint64_t seed) {
  Request request;
  request.prompt = some_tokens(prompt_size, seed);
  request.sampling.max_tokens = max_tokens;
  request.sampling.seed = seed;
  return request;
}

// The answer of the fake model to one request, token by token, with no engine.
inline Answer expected_answer(const Request& request, int64_t max_context,
                              const std::vector<TokenId>& eos = {}) {
  const SamplingParams& params = request.sampling;
  const auto prompt_size = static_cast<int64_t>(request.prompt.size());
  const int64_t given = request.generated_from.value_or(prompt_size);
  std::vector<TokenId> stops = params.stop_token_ids;
  if (!params.ignore_eos) stops.insert(stops.end(), eos.begin(), eos.end());

  Answer answer;
  answer.finish = FinishReason::kLength;
  std::vector<TokenId> tokens = request.prompt;
  sampling::SamplerScratch scratch(kVocab);
  while (static_cast<int64_t>(answer.tokens.size()) < params.max_tokens &&
         static_cast<int64_t>(tokens.size()) < max_context) {
    const bool may_stop = static_cast<int64_t>(answer.tokens.size()) >= params.min_tokens;
    const auto token = sampling::sample(fake_logits(tokens, given, kVocab),
                                        {.params = params,
                                         .tokens = tokens,
                                         .generated_from = given,
                                         .banned = may_stop ? std::vector<TokenId>() : stops,
                                         .seed = *params.seed},
                                        scratch);
    if (std::find(stops.begin(), stops.end(), *token) != stops.end()) {
      answer.finish = FinishReason::kStop;
      answer.stop_token = *token;
      break;
    }
    answer.tokens.push_back(*token);
    tokens.push_back(*token);
  }
  return answer;
}

}  // namespace fathom::engine
