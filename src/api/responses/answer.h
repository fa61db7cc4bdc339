// Answers of /v1/responses: one response object, or events that build it item by item.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "api/http/reply.h"
#include "api/output/answer.h"
#include "api/output/answer_json.h"
#include "api/responses/tools.h"

namespace fathom::api::responses {

struct ResponseAnswerOptions {
  std::string id;
  std::string model;
  Json echo;  // of the request
  ClientTools tools;
  bool stream = false;
  bool logprobs = false;
  std::chrono::milliseconds keep_alive{10'000};
  std::function<void(const Json& response)>
      keep;  // called with the finished response; may be empty
};

std::unique_ptr<Answer> make_response_answer(ResponseAnswerOptions options, TokenWords words,
                                             std::shared_ptr<Reply> reply);

}  // namespace fathom::api::responses
