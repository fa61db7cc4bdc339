#include "api/chat_answer.h"

#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/ids.h"

namespace fathom::api {

namespace {

AnswerHead make_head(const ChatAnswerOptions& options) {
  return {random_id("chatcmpl-"), options.stream ? "chat.completion.chunk" : "chat.completion",
          options.model, std::time(nullptr)};
}

// {"content": [...], "refusal": null}, and the thought's tokens apart, as DeepSeek has them.
Json logprobs_json(const TokenWords& words, const std::vector<TokenRecord>& tokens) {
  Json content = Json::array();
  Json reasoning = Json::array();
  for (const TokenRecord& token : tokens) {
    (token.reasoning ? reasoning : content).push_back(chat_token_json(words, token.logprob));
  }
  Json result = {{"content", std::move(content)}, {"refusal", nullptr}};
  if (!reasoning.empty()) result["reasoning_content"] = std::move(reasoning);
  return result;
}

Json call_delta_json(const ToolCallDelta& call) {
  Json function = Json::object();
  if (call.name) function["name"] = *call.name;
  function["arguments"] = call.arguments;
  Json json = {{"index", call.index}};
  if (call.id) json["id"] = *call.id;
  if (call.id) json["type"] = "function";
  json["function"] = std::move(function);
  return json;
}

class ChatStream : public Answer {
 public:
  ChatStream(ChatAnswerOptions options, TokenWords words, std::shared_ptr<Reply> reply)
      : options_(std::move(options)),
        head_(head_json(make_head(options_))),
        words_(std::move(words)),
        reply_(std::move(reply)) {}

  void begin() override {
    begun_ = true;
    reply_->begin_events(options_.keep_alive);
    for (int i = 0; i < options_.choices; ++i) {
      send_choice(i, {{"role", "assistant"}, {"content", ""}}, nullptr, {});
    }
  }

  void prompt_logprobs(int, const std::vector<engine::TokenLogprob>&) override {}

  void delta(int choice, const OutputDelta& delta) override {
    Json json = Json::object();
    if (!delta.reasoning.empty()) json["reasoning_content"] = delta.reasoning;
    if (!delta.content.empty()) json["content"] = delta.content;
    for (const ToolCallDelta& call : delta.tool_calls) {
      json["tool_calls"].push_back(call_delta_json(call));
    }
    Json logprobs;
    if (options_.logprobs) logprobs = logprobs_json(words_, delta.tokens);
    send_choice(choice, std::move(json), std::move(logprobs), {});
  }

  void finish(int choice, const ChoiceEnd& end) override {
    send_choice(choice, Json::object(), nullptr, end);
  }

  void end(const UsageCounts& usage) override {
    if (options_.include_usage) {
      Json chunk = head_;
      chunk["choices"] = Json::array();
      chunk["usage"] = usage_json(usage);
      reply_->event(chunk);
    }
    reply_->event_text("[DONE]");
    reply_->end_events();
  }

  void fail(const ApiError& error) override {
    if (!begun_) return reply_->send_error(error);
    reply_->error_event(error);
    reply_->end_events();
  }

 private:
  void send_choice(int index, Json delta, Json logprobs, const std::optional<ChoiceEnd>& end) {
    Json chunk = head_;
    Json choice = {
        {"index", index}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}};
    add_end(end, choice);
    chunk["choices"].push_back(std::move(choice));
    if (options_.include_usage) chunk["usage"] = nullptr;
    reply_->event(chunk);
  }

  ChatAnswerOptions options_;
  Json head_;
  TokenWords words_;
  std::shared_ptr<Reply> reply_;
  bool begun_ = false;
};

class WholeChat : public Answer {
 public:
  WholeChat(ChatAnswerOptions options, TokenWords words, std::shared_ptr<Reply> reply)
      : options_(std::move(options)),
        words_(std::move(words)),
        reply_(std::move(reply)),
        choices_(static_cast<size_t>(options_.choices)) {}

  void begin() override {}
  void prompt_logprobs(int, const std::vector<engine::TokenLogprob>&) override {}

  void delta(int index, const OutputDelta& delta) override {
    Choice& choice = choices_[static_cast<size_t>(index)];
    if (delta.content_was_thought) {
      choice.reasoning += std::exchange(choice.content, {});
      for (TokenRecord& token : choice.tokens) token.reasoning = true;
    }
    choice.content += delta.content;
    choice.reasoning += delta.reasoning;
    choice.tokens.insert(choice.tokens.end(), delta.tokens.begin(), delta.tokens.end());
    for (const ToolCallDelta& call : delta.tool_calls) {
      if (call.name) choice.calls.push_back({call.index, call.id, call.name, ""});
      choice.calls.back().arguments += call.arguments;
    }
  }

  void finish(int index, const ChoiceEnd& end) override {
    choices_[static_cast<size_t>(index)].end = end;
  }

  void end(const UsageCounts& usage) override {
    Json body = head_json(make_head(options_));
    body["choices"] = Json::array();
    for (const Choice& choice : choices_) body["choices"].push_back(choice_json(choice));
    body["usage"] = usage_json(usage);
    reply_->send_json(body);
  }

  void fail(const ApiError& error) override { reply_->send_error(error); }

 private:
  struct Choice {
    std::string content;
    std::string reasoning;
    std::vector<ToolCallDelta> calls;  // whole
    std::vector<TokenRecord> tokens;
    ChoiceEnd end;
  };

  Json choice_json(const Choice& choice) const {
    Json json = {{"index", &choice - choices_.data()}, {"message", message_json(choice)}};
    json["logprobs"] = options_.logprobs ? logprobs_json(words_, choice.tokens) : Json();
    add_end(choice.end, json);
    return json;
  }

  static Json message_json(const Choice& choice) {
    const bool only_calls = choice.content.empty() && !choice.calls.empty();
    Json message = {{"role", "assistant"},
                    {"content", only_calls ? Json() : Json(choice.content)},
                    {"refusal", nullptr}};
    if (!choice.reasoning.empty()) message["reasoning_content"] = choice.reasoning;
    for (const ToolCallDelta& call : choice.calls) {
      Json json = call_delta_json(call);
      json.erase("index");
      message["tool_calls"].push_back(std::move(json));
    }
    return message;
  }

  ChatAnswerOptions options_;
  TokenWords words_;
  std::shared_ptr<Reply> reply_;
  std::vector<Choice> choices_;
};

}  // namespace

std::unique_ptr<Answer> make_chat_answer(ChatAnswerOptions options, TokenWords words,
                                         std::shared_ptr<Reply> reply) {
  if (options.stream) {
    return std::make_unique<ChatStream>(std::move(options), std::move(words), std::move(reply));
  }
  return std::make_unique<WholeChat>(std::move(options), std::move(words), std::move(reply));
}

}  // namespace fathom::api
