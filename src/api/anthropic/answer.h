// Answers of /v1/messages: one message of content blocks, or events that build it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "api/http/reply.h"
#include "api/output/answer.h"

namespace fathom::api::anthropic {

struct MessageAnswerOptions {
  std::string model;
  bool stream = false;
  int64_t prompt_tokens = 0;
  std::chrono::milliseconds keep_alive{10'000};
};

std::unique_ptr<Answer> make_message_answer(MessageAnswerOptions options,
                                            std::shared_ptr<Reply> reply);

}  // namespace fathom::api::anthropic
