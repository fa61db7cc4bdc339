#include "api/anthropic/answer.h"

#include <nlohmann/json.hpp>

#include "api/anthropic/content_blocks.h"
#include "api/text/ids.h"

namespace fathom::api::anthropic {

namespace {

const char* stop_reason(const ChoiceEnd& end) {
  switch (end.reason) {
    case AnswerEnd::kLength:
      return "max_tokens";
    case AnswerEnd::kToolCalls:
      return "tool_use";
    default:
      return end.stop_string ? "stop_sequence" : "end_turn";
  }
}

// input_tokens leaves out tokens that the prefix cache held.
Json message_usage(const UsageCounts& usage) {
  return {{"input_tokens", usage.prompt_tokens - usage.cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.cached_tokens},
          {"output_tokens", usage.completion_tokens},
          {"output_tokens_details", {{"thinking_tokens", usage.reasoning_tokens}}}};
}

class MessageAnswer : public Answer {
 public:
  MessageAnswer(MessageAnswerOptions options, std::shared_ptr<Reply> reply)
      : options_(std::move(options)),
        reply_(std::move(reply)),
        id_(random_id("msg_")),
        blocks_(emitter(), id_) {}

  void begin() override {
    begun_ = true;
    if (options_.stream) reply_->begin_events(options_.keep_alive);
  }

  // The message starts only now, with the same counts of the prompt as at its end.
  void prompt_read(int, int64_t cached_tokens) override {
    if (!options_.stream) return;
    UsageCounts usage;
    usage.prompt_tokens = options_.prompt_tokens;
    usage.cached_tokens = cached_tokens;
    send("message_start", {{"message", message(usage)}});
  }

  void prompt_logprobs(int, const std::vector<engine::TokenLogprob>&) override {}
  void delta(int, const OutputDelta& delta) override { blocks_.add(delta); }

  void finish(int, const ChoiceEnd& end) override {
    stop_reason_ = stop_reason(end);
    if (end.stop_string) stop_sequence_ = *end.stop_string;
    blocks_.end();
  }

  void end(const UsageCounts& usage) override {
    if (!options_.stream) return reply_->send_json(message(usage));
    send("message_delta",
         {{"delta", {{"stop_reason", stop_reason_}, {"stop_sequence", stop_sequence_}}},
          {"usage", message_usage(usage)}});
    send("message_stop", Json::object());
    reply_->end_events();
  }

  void fail(const ApiError& error) override {
    if (!begun_ || !options_.stream) return reply_->send_error(error);
    reply_->error_event(error);
    reply_->end_events();
  }

 private:
  ContentBlocks::Emit emitter() {
    if (!options_.stream) return {};
    return [this](const char* type, Json event) { send(type, std::move(event)); };
  }

  void send(const char* type, const Json& event) {
    Json typed = {{"type", type}};
    typed.update(event);
    reply_->typed_event(type, typed);
  }

  Json message(const UsageCounts& usage) const {
    return {{"id", id_},
            {"type", "message"},
            {"role", "assistant"},
            {"model", options_.model},
            {"content", blocks_.blocks()},
            {"stop_reason", stop_reason_},
            {"stop_sequence", stop_sequence_},
            {"stop_details", nullptr},
            {"container", nullptr},
            {"usage", message_usage(usage)}};
  }

  MessageAnswerOptions options_;
  std::shared_ptr<Reply> reply_;
  std::string id_;
  ContentBlocks blocks_;
  Json stop_reason_;    // null until the end
  Json stop_sequence_;  // null unless one ended the answer
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<Answer> make_message_answer(MessageAnswerOptions options,
                                            std::shared_ptr<Reply> reply) {
  return std::make_unique<MessageAnswer>(std::move(options), std::move(reply));
}

}  // namespace fathom::api::anthropic
