// Answers of /v1/chat/completions: one chat.completion, or chat.completion.chunk events.
#pragma once

#include <chrono>
#include <memory>

#include "api/http/reply.h"
#include "api/output/answer.h"
#include "api/output/answer_json.h"

namespace fathom::api {

struct ChatAnswerOptions {
  std::string model;
  int choices = 1;
  bool stream = false;
  bool include_usage = false;
  bool logprobs = false;
  std::chrono::milliseconds keep_alive{10'000};
};

std::unique_ptr<Answer> make_chat_answer(ChatAnswerOptions options, TokenWords words,
                                         std::shared_ptr<Reply> reply);

}  // namespace fathom::api
