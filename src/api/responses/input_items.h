// The items a response is asked with and answered by, as messages of a chat.
#pragma once

#include "api/text/json_text.h"
#include "base/result.h"

namespace fathom::api::responses {

// Checks `input` (text, or items: messages, calls of functions and custom tools, their outputs,
// reasoning, what OpenAI's own tools did) and returns it as items with ids, as /input_items lists
// them.
Result<Json> read_input(const Json& value, const std::string& path);

// Items of read_input() and of a response's output as chat messages. What an assistant thought,
// said and called before anybody else's turn becomes one message.
Json to_messages(const Json& items);

}  // namespace fathom::api::responses
