// Anthropic's messages of content blocks as messages of a chat.
#pragma once

#include "api/text/json_text.h"
#include "base/result.h"

namespace fathom::api::anthropic {

// Appends the chat messages for `value`, the array `messages`. An answer that is begun (the last
// message is the assistant's) is to be continued.
Status read_messages(const Json& value, const std::string& path, Json& messages);

}  // namespace fathom::api::anthropic
