// From a chat request to what the engine is to generate: the prompt, the limits, and what the
// answer must be. One way for every dialect of chat.
#pragma once

#include <variant>
#include <vector>

#include "api/api_error.h"
#include "api/generation.h"
#include "api/handlers.h"
#include "api/schema_chat.h"

namespace fathom::api {

// `request.n` choices, or what is wrong with the request. Compiles what the answer must be.
std::variant<std::vector<ChoiceSpec>, ApiError> chat_choices(HandlerContext& context,
                                                             const ChatRequest& request);

}  // namespace fathom::api
