#include "api/output/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "api/text/json_text.h"
#include "base/log.h"

namespace fathom::api {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::optional<ApiError> priority_refusal(const Caller& caller, int32_t priority) {
  if (priority >= caller.lowest_priority) return std::nullopt;
  return ApiError{.status = 403,
                  .message = fmt::format("priority: expected {} or more, which is what this key "
                                         "may ask for, got {}",
                                         caller.lowest_priority, priority),
                  .type = "permission_error",
                  .param = "priority",
                  .code = "priority_not_allowed"};
}

RequestEnd to_request_end(AnswerEnd end) {
  switch (end) {
    case AnswerEnd::kStop:
      return RequestEnd::kStop;
    case AnswerEnd::kLength:
      return RequestEnd::kLength;
    case AnswerEnd::kToolCalls:
      return RequestEnd::kToolCalls;
  }
  return RequestEnd::kStop;
}

size_t count_logprobs(const engine::Request& request) {
  const engine::SamplingParams& sampling = request.sampling;
  const auto each = [](std::optional<int32_t> top) {
    return top ? 1 + static_cast<size_t>(*top) : size_t{0};
  };
  return each(sampling.logprobs) * static_cast<size_t>(sampling.max_tokens) +
         each(sampling.prompt_logprobs) * request.prompt.size();
}

// Kept alive by the listeners that the engine holds. The engine is never called with the lock
// held: its own locks come first for threads that submit.
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  Generation(const GenerationTools& tools, const std::vector<ChoiceSpec>& specs,
             std::unique_ptr<Answer> answer)
      : engine_(tools.engine),
        metrics_(tools.metrics),
        caller_(tools.caller),
        share_prefix_cache_(tools.share_prefix_cache),
        answer_memory_(tools.answer_memory),
        tokenizer_(tools.tokenizer),
        wants_texts_(tools.wants_texts),
        answer_(std::move(answer)),
        record_(tools.record) {
    choices_.reserve(specs.size());
    for (const ChoiceSpec& spec : specs) {
      choices_.push_back({OutputParser(tools.tokenizer, tools.markers, spec.output)});
      choices_.back().counts_prompt = spec.counts_prompt;
      choices_.back().prompt_tokens = static_cast<int64_t>(spec.request.prompt.size());
    }
    unfinished_ = choices_.size();
    unwanted_.reserve(choices_.size());  // so that giving up needs no memory
    if (wants_texts_) note_prompt(specs.front().request.prompt);
  }

  void start(std::vector<ChoiceSpec> specs, net::ResponseWriter& writer) {
    try {
      submit_all(std::move(specs), writer);
    } catch (const std::bad_alloc&) {
      {
        const std::lock_guard lock(mutex_);
        if (!closed_) break_off();
      }
      cancel_unwanted();
    }
  }

 private:
  void submit_all(std::vector<ChoiceSpec> specs, net::ResponseWriter& writer) {
    auto memory = hold_memory(specs);
    if (!memory) return give_up(to_api_error(memory.error()));
    for (size_t i = 0; i < specs.size(); ++i) {
      engine::Request& request = specs[i].request;
      if (const auto error = priority_refusal(caller_, request.priority)) return give_up(*error);
      request.owner = owner_number(caller_.owner);
      if (i > 0) request.part_of = *choices_.front().id;
      if (i == 0) request.parts = static_cast<int64_t>(specs.size());
      request.cache_salt =
          salt_within(share_prefix_cache_ ? "" : caller_.owner, request.cache_salt);
      const engine::RequestId id = engine_.submit(
          std::move(request),
          [self = shared_from_this(), i](const engine::Event& event) { self->on_event(i, event); });
      if (!note_id(i, id)) return cancel_unwanted();
    }
    // The callback is there, and with it the memory, until the answer has left.
    writer.on_client_gone([weak = weak_from_this(), held = std::move(*memory)] {
      if (const auto self = weak.lock()) self->abandon();
    });
  }

  // Whether the answer still wants what that choice will bring.
  bool note_id(size_t index, engine::RequestId id) {
    const std::lock_guard lock(mutex_);
    Choice& choice = choices_[index];
    if (choice.refused) return false;
    choice.id = id;
    if (closed_ || choice.done) unwanted_.push_back(id);
    return !closed_;
  }

  Result<AnswerMemory::Hold> hold_memory(const std::vector<ChoiceSpec>& specs) {
    size_t logprobs = 0;
    for (const ChoiceSpec& spec : specs) logprobs += count_logprobs(spec.request);
    const size_t bytes = logprobs * answer_->bytes_per_logprob();
    if (bytes == 0) return AnswerMemory::Hold();
    return answer_memory_.take(bytes);
  }

  struct Choice {
    OutputParser parser;
    std::optional<engine::RequestId> id = {};
    bool counts_prompt = true;
    int64_t prompt_tokens = 0;
    bool refused = false;
    bool done = false;
    bool prompt_read = false;
    int64_t cached_tokens = 0;
    std::optional<double> queue_seconds = {};
    std::optional<Clock::time_point> first_token = {};
    Clock::time_point last_token = {};
  };
  struct EarlyEvent {
    size_t choice;
    engine::Event event;
  };

  void on_event(size_t index, const engine::Event& event) {
    while_open([&] {
      if (event.finish == engine::FinishReason::kRefused) {
        choices_[index].refused = true;
        fail(to_api_error(event.error.value_or(Error{ErrorCode::kInternal, "engine failed"})));
      } else if (event.accepted) {
        if (++accepted_ == choices_.size()) begin();
      } else if (accepted_ == choices_.size()) {
        take(index, event);
      } else {
        early_.push_back({index, event});
      }
    });
  }

  // Every choice is accepted.
  void begin() {
    answer_->begin();
    for (const EarlyEvent& early : early_) {
      if (!closed_) take(early.choice, early.event);
    }
    early_.clear();
  }

  // Running out of memory fails this answer only: the engine's thread goes on.
  template <typename Step>
  void while_open(const Step& step) {
    {
      const std::lock_guard lock(mutex_);
      try {
        if (!closed_) step();
      } catch (const std::bad_alloc&) {
        break_off();
      }
    }
    cancel_unwanted();
  }

  void take(size_t index, const engine::Event& event) {
    Choice& choice = choices_[index];
    if (choice.done) return;
    choice.cached_tokens = event.usage.cached_tokens;
    if (event.queue_seconds) choice.queue_seconds = event.queue_seconds;
    const int number = static_cast<int>(index);
    const bool failed = event.finish == engine::FinishReason::kError ||
                        event.finish == engine::FinishReason::kCancelled;
    if (!failed && !std::exchange(choice.prompt_read, true)) {
      answer_->prompt_read(number, choice.cached_tokens);
    }
    if (!event.prompt_logprobs.empty()) answer_->prompt_logprobs(number, event.prompt_logprobs);
    if (event.token) {
      note_token(choice);
      if (wants_texts_ && index == 0) note_text(*event.token);
      OutputDelta delta;
      const bool stopped = choice.parser.push(*event.token, event.logprob, delta);
      send(number, delta);
      if (stopped) {
        if (choice.id) unwanted_.push_back(*choice.id);
        return finish(index, AnswerEnd::kStop);
      }
    }
    if (event.finish) end_choice(index, event);
  }

  void end_choice(size_t index, const engine::Event& event) {
    if (event.finish == engine::FinishReason::kError) {
      return fail(to_api_error(event.error.value_or(Error{ErrorCode::kInternal, "engine failed"})));
    }
    if (event.finish == engine::FinishReason::kCancelled) {
      return fail(to_api_error({ErrorCode::kUnavailable, "the server is shutting down"}));
    }
    OutputDelta delta;
    const bool stopped = choices_[index].parser.finish(delta);
    send(static_cast<int>(index), delta);
    const bool length = event.finish == engine::FinishReason::kLength && !stopped;
    finish(index, length ? AnswerEnd::kLength : AnswerEnd::kStop);
  }

  void send(int index, const OutputDelta& delta) {
    if (delta.has_text() || !delta.tokens.empty()) answer_->delta(index, delta);
  }

  void note_token(Choice& choice) {
    const Clock::time_point now = Clock::now();
    if (choice.first_token) {
      metrics_.next_token_after(seconds_between(choice.last_token, now));
    } else {
      choice.first_token = now;
      metrics_.first_token_after(seconds_between(submitted_, now));
      if (!record_->first_token_seconds) {
        record_->first_token_seconds = seconds_between(record_->received, now);
      }
    }
    choice.last_token = now;
  }

  void finish(size_t index, AnswerEnd end) {
    Choice& choice = choices_[index];
    const OutputParser& parser = choice.parser;
    if (end == AnswerEnd::kStop && parser.has_tool_calls() && !parser.last_call_cut()) {
      end = AnswerEnd::kToolCalls;
    }
    answer_->finish(static_cast<int>(index), {end, choice.parser.stop_string()});
    const RequestEnd request_end = to_request_end(end);
    count_end(choice, request_end);
    if (index == 0) record_->finish = request_end;
    if (--unfinished_ > 0) return;
    closed_ = true;
    note_usage();
    answer_->end(usage());
  }

  void fail(const ApiError& error) {
    close(RequestEnd::kError);
    record_->error = error.code.value_or("");
    answer_->fail(error);
  }

  void give_up(const ApiError& error) {
    {
      const std::lock_guard lock(mutex_);
      if (!closed_) fail(error);
    }
    cancel_unwanted();
  }

  // Drops the answer and with it the writer, which answers 500 or cuts the stream if the error
  // could not be sent.
  void break_off() noexcept {
    try {
      closed_ = true;
      fail(to_api_error({ErrorCode::kUnavailable, "out of memory"}));
    } catch (const std::bad_alloc&) {
      log_warning("api: out of memory: an answer was cut");
    }
    answer_ = nullptr;
  }

  void abandon() {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      close(RequestEnd::kCancelled);
      answer_ = nullptr;  // ends the request, for its log
    }
    cancel_unwanted();
  }

  // Generations that still run are not needed any more.
  void close(RequestEnd end) {
    closed_ = true;
    record_->finish = end;
    note_usage();
    for (Choice& choice : choices_) {
      if (choice.done || !choice.id) continue;
      unwanted_.push_back(*choice.id);
      count_end(choice, end);
    }
  }

  void cancel_unwanted() {
    while (const auto id = next_unwanted()) engine_.cancel(*id);
  }

  std::optional<engine::RequestId> next_unwanted() {
    const std::lock_guard lock(mutex_);
    if (unwanted_.empty()) return std::nullopt;
    const engine::RequestId id = unwanted_.back();
    unwanted_.pop_back();
    return id;
  }

  void count_end(Choice& choice, RequestEnd end) {
    choice.done = true;
    const Clock::time_point now = Clock::now();
    GenerationTimes times;
    times.queue = choice.queue_seconds;
    times.total = seconds_between(submitted_, now);
    if (choice.first_token) {
      const double first = seconds_between(submitted_, *choice.first_token);
      times.prefill = std::max(0.0, first - choice.queue_seconds.value_or(0));
      times.decode = seconds_between(*choice.first_token, now);
    }
    metrics_.finished(end == RequestEnd::kCancelled ? "abort" : to_string(end), times);
  }

  UsageCounts usage() const {
    UsageCounts counts;
    for (const Choice& choice : choices_) {
      counts.completion_tokens += choice.parser.completion_tokens();
      counts.reasoning_tokens += choice.parser.reasoning_tokens();
      if (!choice.counts_prompt || !choice.prompt_read) continue;
      counts.prompt_tokens += choice.prompt_tokens;
      counts.cached_tokens += choice.cached_tokens;
    }
    return counts;
  }

  void note_usage() {
    const UsageCounts counts = usage();
    record_->prompt_tokens = counts.prompt_tokens;
    record_->cached_tokens = counts.cached_tokens;
    record_->answer_tokens = counts.completion_tokens;
  }

  void note_prompt(std::span<const engine::TokenId> prompt) {
    const auto most = std::min(prompt.size(), kMaxTextBytes);  // a token has a byte at least
    record_->prompt = shorten(tokenizer_.decode(prompt.first(most)), kMaxTextBytes);
    record_->answer = "";
  }

  void note_text(engine::TokenId token) {
    std::string& answer = *record_->answer;
    const std::string_view text = tokenizer_.token_bytes(token);
    answer += text.substr(0, kMaxTextBytes - answer.size());
  }

  engine::Engine& engine_;
  Metrics& metrics_;
  const Caller caller_;
  const bool share_prefix_cache_;
  AnswerMemory& answer_memory_;
  const tokenizer::Tokenizer& tokenizer_;
  const bool wants_texts_;
  const Clock::time_point submitted_ = Clock::now();

  std::mutex mutex_;  // guards all below
  std::unique_ptr<Answer> answer_;
  const std::shared_ptr<RequestRecord> record_;  // the answer's
  std::vector<Choice> choices_;
  size_t unfinished_ = 0;
  size_t accepted_ = 0;  // choices
  bool closed_ = false;
  std::vector<EarlyEvent> early_;  // before every choice was accepted
  std::vector<engine::RequestId> unwanted_;
};

}  // namespace

void start_generation(const GenerationTools& tools, std::vector<ChoiceSpec> choices,
                      std::unique_ptr<Answer> answer, net::ResponseWriter& writer) {
  const auto generation = std::make_shared<Generation>(tools, choices, std::move(answer));
  generation->start(std::move(choices), writer);
}

}  // namespace fathom::api
