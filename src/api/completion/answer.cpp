#include "api/completion/answer.h"

#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/completion/logprobs.h"
#include "api/text/ids.h"

namespace fathom::api {

namespace {

// What the two ways share: the choices' text and log-probabilities as they grow.
class CompletionAnswer : public Answer {
 public:
  CompletionAnswer(CompletionAnswerOptions options, const tokenizer::Tokenizer& tokenizer,
                   TokenWords words, std::shared_ptr<Reply> reply)
      : options_(std::move(options)), reply_(std::move(reply)), words_(std::move(words)) {
    head_ = head_json({random_id("cmpl-"), "text_completion", options_.model, std::time(nullptr)});
    for (const auto& prompt : options_.prompts) {
      echoes_.push_back(options_.echo ? echo_prompt(tokenizer, prompt, options_.skip_special_tokens)
                                      : PromptEcho{});
    }
    const size_t count = options_.prompts.size() * static_cast<size_t>(options_.choices_per_prompt);
    choices_.resize(count);
  }

  void prompt_logprobs(int index, const std::vector<engine::TokenLogprob>& tokens) override {
    if (!options_.logprobs || !options_.echo) return;
    Choice& choice = choices_[static_cast<size_t>(index)];
    const PromptEcho& echo = echo_of(index);
    for (const engine::TokenLogprob& token : tokens) {
      if (++choice.prompt_tokens < static_cast<int64_t>(echo.offsets.size())) {
        choice.logprobs.add(token, echo.offsets[static_cast<size_t>(choice.prompt_tokens)]);
      }
    }
  }

 protected:
  struct Choice {
    std::string text;  // not sent yet
    CompletionLogprobs logprobs;
    int64_t prompt_tokens = 0;  // whose log-probability came
    ChoiceEnd end;
  };

  void start_choices() {
    if (!options_.echo) return;
    for (size_t i = 0; i < choices_.size(); ++i) {
      const PromptEcho& echo = echo_of(static_cast<int>(i));
      choices_[i].text = echo.text;
      const auto& prompt = options_.prompts[i / static_cast<size_t>(options_.choices_per_prompt)];
      if (options_.logprobs) choices_[i].logprobs.add_first(prompt.front(), 0);
    }
  }

  void append(int index, const OutputDelta& delta) {
    Choice& choice = choices_[static_cast<size_t>(index)];
    choice.text += delta.content;
    const int64_t before = echo_of(index).characters;
    if (!options_.logprobs) return;
    for (const TokenRecord& token : delta.tokens) {
      choice.logprobs.add(token.logprob, before + token.text_offset);
    }
  }

  // Appends the choice with what is not sent yet.
  void take_choice(int index, const std::optional<ChoiceEnd>& end, std::string& out) {
    Choice& choice = choices_[static_cast<size_t>(index)];
    ObjectText object(out);
    object.add({{"index", index}, {"text", std::exchange(choice.text, "")}});
    object.name("logprobs");
    if (options_.logprobs) {
      choice.logprobs.take(words_, out);
    } else {
      out += "null";
    }
    Json ending = Json::object();
    add_end(end, ending);
    object.add(ending);
    object.end();
  }

  const PromptEcho& echo_of(int index) const {
    return echoes_[static_cast<size_t>(index / options_.choices_per_prompt)];
  }

  CompletionAnswerOptions options_;
  std::shared_ptr<Reply> reply_;
  Json head_;
  std::vector<Choice> choices_;

 private:
  TokenWords words_;
  std::vector<PromptEcho> echoes_;
};

class CompletionStream : public CompletionAnswer {
 public:
  using CompletionAnswer::CompletionAnswer;

  void begin() override {
    begun_ = true;
    reply_->begin_events(options_.keep_alive);
    start_choices();
  }

  void delta(int index, const OutputDelta& delta) override {
    append(index, delta);
    send(index, {});
  }

  void finish(int index, const ChoiceEnd& end) override { send(index, end); }

  void end(const UsageCounts& usage) override {
    end_stream(*reply_, head_, usage, options_.include_usage);
  }

  void fail(const ApiError& error) override { fail_stream(*reply_, error, begun_); }

 private:
  void send(int index, const std::optional<ChoiceEnd>& end) {
    std::string text;
    ObjectText chunk(text);
    chunk.add(head_);
    chunk.name("choices");
    text += '[';
    take_choice(index, end, text);
    text += ']';
    if (options_.include_usage) chunk.add({{"usage", nullptr}});
    chunk.end();
    reply_->event_text(text);
  }

  bool begun_ = false;
};

class WholeCompletion : public CompletionAnswer {
 public:
  using CompletionAnswer::CompletionAnswer;

  size_t bytes_per_logprob() const override { return kBytesPerLogprobText; }
  void begin() override { start_choices(); }
  void delta(int index, const OutputDelta& delta) override { append(index, delta); }
  void finish(int index, const ChoiceEnd& end) override {
    choices_[static_cast<size_t>(index)].end = end;
  }

  void end(const UsageCounts& usage) override {
    std::string text;
    ObjectText body(text);
    body.add(head_);
    body.name("choices");
    text += '[';
    for (size_t i = 0; i < choices_.size(); ++i) {
      if (i > 0) text += ',';
      take_choice(static_cast<int>(i), choices_[i].end, text);
      choices_[i] = {};
    }
    text += ']';
    body.add({{"usage", usage_json(usage)}});
    body.end();
    reply_->send_json_text(std::move(text));
  }

  void fail(const ApiError& error) override { reply_->send_error(error); }
};

}  // namespace

std::unique_ptr<Answer> make_completion_answer(CompletionAnswerOptions options,
                                               const tokenizer::Tokenizer& tokenizer,
                                               TokenWords words, std::shared_ptr<Reply> reply) {
  if (options.stream) {
    return std::make_unique<CompletionStream>(std::move(options), tokenizer, std::move(words),
                                              std::move(reply));
  }
  return std::make_unique<WholeCompletion>(std::move(options), tokenizer, std::move(words),
                                           std::move(reply));
}

}  // namespace fathom::api
