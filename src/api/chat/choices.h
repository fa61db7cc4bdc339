// From a chat request to what the engine is to generate: the prompt, the limits, and what the
// answer must be. One way for every dialect of chat.
#pragma once

#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "api/context/context.h"
#include "api/http/api_error.h"
#include "api/output/generation.h"
#include "api/schema/chat.h"

namespace fathom::api {

// What the model reads.
Result<Prompt> chat_prompt(const ServedModel& model, const ChatRequest& request);

// How errors name fields in a dialect.
struct ChatNames {
  const char* prompt = "messages";  // the field that holds the conversation
  std::function<Error(Error)> rename =
      {};  // an error of a field of chat completions; none: as it is
};

// `request.n` choices, or what is wrong with the request, by `names`. Compiles what the answer must
// be, within `budget`.
std::variant<std::vector<ChoiceSpec>, ApiError> chat_choices(
    const HandlerContext& context, const ServedModel& model, const ChatRequest& request,
    const ChatNames& names, const std::shared_ptr<WorkBudget>& budget);

}  // namespace fathom::api
