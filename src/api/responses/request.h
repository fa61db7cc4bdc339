// The body of POST /v1/responses.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/responses/tools.h"
#include "api/schema/field.h"
#include "api/text/json_text.h"

namespace fathom::api::responses {

struct ResponsesRequest {
  Json chat;   // the same as a body of /v1/chat/completions, without its messages
  Json echo;   // what the response repeats of the request
  Json input;  // the items of this turn
  RequestTools tools;
  std::optional<std::string> instructions;
  std::optional<std::string> previous_response_id;
  bool store = true;
  bool logprobs = false;
};

Result<ResponsesRequest> read_responses_request(const Json& body);

const FieldTable<ResponsesRequest>& responses_field_table();

// The errors of chat fields, with this dialect's names; `tool_paths` as RequestTools has them.
Error in_responses(Error error, const std::vector<std::string>& tool_paths);

}  // namespace fathom::api::responses
