#include "api/chat/answer.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/text/ids.h"

namespace fathom::api {

namespace {

AnswerHead make_head(const ChatAnswerOptions& options) {
  return {random_id("chatcmpl-"), options.stream ? "chat.completion.chunk" : "chat.completion",
          options.model, std::time(nullptr)};
}

void append_tokens(const TokenWords& words, const std::vector<TokenRecord>& tokens, bool reasoning,
                   std::string& out) {
  out += '[';
  bool first = true;
  for (const TokenRecord& token : tokens) {
    if (token.reasoning != reasoning) continue;
    if (!std::exchange(first, false)) out += ',';
    out += dump_json(chat_token_json(words, token.logprob));
  }
  out += ']';
}

// {"content": [...], "refusal": null}, and the thought's tokens apart, as DeepSeek has them.
void append_logprobs(const TokenWords& words, const std::vector<TokenRecord>& tokens,
                     std::string& out) {
  ObjectText object(out);
  object.name("content");
  append_tokens(words, tokens, false, out);
  object.add({{"refusal", nullptr}});
  if (std::ranges::any_of(tokens, &TokenRecord::reasoning)) {
    object.name("reasoning_content");
    append_tokens(words, tokens, true, out);
  }
  object.end();
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

constexpr std::string_view kNoLogprobs = "null";

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
      send_choice(i, {{"role", "assistant"}, {"content", ""}}, kNoLogprobs, {});
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
    std::string logprobs;
    if (options_.logprobs) append_logprobs(words_, delta.tokens, logprobs);
    send_choice(choice, std::move(json),
                options_.logprobs ? std::string_view(logprobs) : kNoLogprobs, {});
  }

  void finish(int choice, const ChoiceEnd& end) override {
    send_choice(choice, Json::object(), kNoLogprobs, end);
  }

  void end(const UsageCounts& usage) override {
    end_stream(*reply_, head_, usage, options_.include_usage);
  }

  void fail(const ApiError& error) override { fail_stream(*reply_, error, begun_); }

 private:
  // `logprobs` is JSON.
  void send_choice(int index, Json delta, std::string_view logprobs,
                   const std::optional<ChoiceEnd>& end) {
    std::string text;
    ObjectText chunk(text);
    chunk.add(head_);
    chunk.name("choices");
    text += '[';
    ObjectText choice(text);
    choice.add({{"index", index}, {"delta", std::move(delta)}});
    choice.name("logprobs");
    text += logprobs;
    Json ending = Json::object();
    add_end(end, ending);
    choice.add(ending);
    choice.end();
    text += ']';
    if (options_.include_usage) chunk.add({{"usage", nullptr}});
    chunk.end();
    reply_->event_text(text);
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

  size_t bytes_per_logprob() const override { return kBytesPerLogprobText; }
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
    std::string text;
    ObjectText body(text);
    body.add(head_json(make_head(options_)));
    body.name("choices");
    text += '[';
    for (size_t i = 0; i < choices_.size(); ++i) {
      if (i > 0) text += ',';
      append_choice(static_cast<int>(i), text);
      choices_[i] = {};
    }
    text += ']';
    body.add({{"usage", usage_json(usage)}});
    body.end();
    reply_->send_json_text(std::move(text));
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

  void append_choice(int index, std::string& text) const {
    const Choice& choice = choices_[static_cast<size_t>(index)];
    ObjectText object(text);
    object.add({{"index", index}, {"message", message_json(choice)}});
    object.name("logprobs");
    if (options_.logprobs) {
      append_logprobs(words_, choice.tokens, text);
    } else {
      text += kNoLogprobs;
    }
    Json ending = Json::object();
    add_end(choice.end, ending);
    object.add(ending);
    object.end();
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
