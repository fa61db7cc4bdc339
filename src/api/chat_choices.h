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

// What the model reads.
Result<Prompt> chat_prompt(const HandlerContext& context, const ServedModel& model,
                           const ChatRequest& request);

// `request.n` choices, or what is wrong with the request: errors of the conversation itself name
// the field `prompt_path`. Compiles what the answer must be, within `budget`.
std::variant<std::vector<ChoiceSpec>, ApiError> chat_choices(
    HandlerContext& context, const ServedModel& model, const ChatRequest& request,
    const char* prompt_path, const std::shared_ptr<WorkBudget>& budget);

}  // namespace fathom::api
