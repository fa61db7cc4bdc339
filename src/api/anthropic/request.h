// The bodies of POST /v1/messages and /v1/messages/count_tokens.
// Source: Anthropic's Messages API, version 2023-06-01.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/schema/field.h"
#include "api/text/json_text.h"

namespace fathom::api::anthropic {

struct MessagesRequest {
  Json chat;  // the same as a body of /v1/chat/completions; whole after reading
  std::vector<std::string> tool_paths;  // of each of its tools within the request
  std::vector<std::string> left_out;    // what is not served, for the client to read
  Json messages;                        // of that body
  std::string system;
};

// Counting needs no max_tokens.
Result<MessagesRequest> read_messages_request(const Json& body, bool only_count);

const FieldTable<MessagesRequest>& messages_field_table();

// The errors of chat fields, with this dialect's names.
Error in_anthropic(Error error, const std::vector<std::string>& tool_paths);

}  // namespace fathom::api::anthropic
