// Answers of /v1/completions: one text_completion, or text_completion events.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/http/reply.h"
#include "api/output/answer.h"
#include "api/output/answer_json.h"

namespace fathom::api {

struct CompletionAnswerOptions {
  std::string model;
  int choices_per_prompt = 1;
  bool stream = false;
  bool include_usage = false;
  bool echo = false;
  bool logprobs = false;
  bool skip_special_tokens = true;
  std::vector<std::vector<tokenizer::TokenId>> prompts;  // given back with echo
  std::chrono::milliseconds keep_alive{10'000};
};

std::unique_ptr<Answer> make_completion_answer(CompletionAnswerOptions options,
                                               const tokenizer::Tokenizer& tokenizer,
                                               TokenWords words, std::shared_ptr<Reply> reply);

}  // namespace fathom::api
