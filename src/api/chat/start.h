// From a checked chat request, whichever dialect it came in, to the engine's work: chat
// completions, Responses and Anthropic's messages all begin here.
#pragma once

#include <functional>
#include <memory>

#include "api/chat/choices.h"
#include "api/context/context.h"
#include "api/output/answer.h"
#include "api/schema/chat.h"

namespace fathom::api {

// Reads and checks a body of /v1/chat/completions.
Result<ChatRequest> read_chat(const HandlerContext& context, const Json& body);

// Called once the model and the prompt are known, and the prompt fits its context, before anything
// runs.
using MakeAnswer =
    std::function<std::unique_ptr<Answer>(const ModelContext& model, int64_t prompt_tokens)>;

// Refusals are sent to `reply`, by `names`.
void start_chat(HandlerContext& context, const Caller& caller, const ChatRequest& request,
                const ChatNames& names, const MakeAnswer& make_answer, const ReplyPtr& reply);

}  // namespace fathom::api
