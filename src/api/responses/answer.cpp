#include "api/responses/answer.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "api/responses/output_items.h"

namespace fathom::api::responses {

namespace {

// As a tree, a copy of it for the whole response, and its text.
constexpr size_t kBytesPerLogprob = 1024;

Json response_usage(const UsageCounts& usage) {
  return {
      {"input_tokens", usage.prompt_tokens},
      {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", 0}}},
      {"output_tokens", usage.completion_tokens},
      {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
      {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

class ResponseAnswer : public Answer {
 public:
  ResponseAnswer(ResponseAnswerOptions options, TokenWords words, std::shared_ptr<Reply> reply)
      : options_(std::move(options)),
        words_(std::move(words)),
        reply_(std::move(reply)),
        items_(emitter(), options_.logprobs ? &words_ : nullptr, options_.tools),
        created_(std::time(nullptr)) {}

  // All are in the last event, too, and in what is stored.
  size_t bytes_per_logprob() const override { return kBytesPerLogprob; }

  void begin() override {
    begun_ = true;
    if (!options_.stream) return;
    reply_->begin_events(options_.keep_alive);
    send("response.created", {{"response", response("in_progress")}});
    send("response.in_progress", {{"response", response("in_progress")}});
  }

  void prompt_logprobs(int, const std::vector<engine::TokenLogprob>&) override {}
  void delta(int, const OutputDelta& delta) override { items_.add(delta); }

  void finish(int, const ChoiceEnd& end) override {
    incomplete_ = end.reason == AnswerEnd::kLength;
    items_.end(incomplete_);
  }

  void end(const UsageCounts& usage) override {
    Json body = response(incomplete_ ? "incomplete" : "completed");
    body["usage"] = response_usage(usage);
    if (incomplete_) {
      body["incomplete_details"] = {{"reason", "max_output_tokens"}};
    } else {
      body["completed_at"] = std::time(nullptr);
    }
    if (options_.keep) options_.keep(body);
    if (!options_.stream) return reply_->send_json(body);
    send(incomplete_ ? "response.incomplete" : "response.completed",
         {{"response", std::move(body)}});
    reply_->end_events();
  }

  void fail(const ApiError& error) override {
    if (!begun_ || !options_.stream) return reply_->send_error(error);
    Json body = response("failed");
    body["error"] = {{"code", "server_error"}, {"message", error.message}};
    send("response.failed", {{"response", std::move(body)}});
    send("error", {{"code", error.code ? Json(*error.code) : Json()},
                   {"message", error.message},
                   {"param", nullptr}});
    reply_->end_events();
  }

 private:
  OutputItems::Emit emitter() {
    if (!options_.stream) return {};
    return [this](const char* type, Json event) { send(type, std::move(event)); };
  }

  void send(const char* type, Json event) {
    event["type"] = type;
    event["sequence_number"] = sequence_number_++;
    reply_->typed_event(type, event);
  }

  Json response(const char* status) const {
    Json body = {{"id", options_.id},       {"object", "response"},
                 {"created_at", created_},  {"completed_at", nullptr},
                 {"status", status},        {"error", nullptr},
                 {"model", options_.model}, {"incomplete_details", nullptr},
                 {"output", items_.items()}};
    body.update(options_.echo);
    return body;
  }

  ResponseAnswerOptions options_;
  TokenWords words_;
  std::shared_ptr<Reply> reply_;
  OutputItems items_;
  int64_t created_;  // seconds since 1970
  int64_t sequence_number_ = 0;
  bool begun_ = false;
  bool incomplete_ = false;
};

}  // namespace

std::unique_ptr<Answer> make_response_answer(ResponseAnswerOptions options, TokenWords words,
                                             std::shared_ptr<Reply> reply) {
  return std::make_unique<ResponseAnswer>(std::move(options), std::move(words), std::move(reply));
}

}  // namespace fathom::api::responses
