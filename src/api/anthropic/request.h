// The bodies of POST /v1/messages and /v1/messages/count_tokens.
// Source: Anthropic's Messages API, version 2023-06-01.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "api/json_text.h"
#include "api/schema_field.h"

namespace fathom::api::anthropic {

struct MessagesRequest {
  Json chat;      // the same as a body of /v1/chat/completions
  Json messages;  // of that body
  std::string system;
};

// The request as a body of /v1/chat/completions. Counting needs no max_tokens.
Result<Json> read_messages_request(const Json& body, bool only_count);

const FieldTable<MessagesRequest>& messages_field_table();

// The errors of chat fields, with this dialect's names.
Error in_anthropic(Error error);

}  // namespace fathom::api::anthropic
