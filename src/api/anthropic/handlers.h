// Anthropic's /v1/messages.
#pragma once

#include "api/http/route.h"

namespace fathom::api {

void handle_messages(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_message_count(HandlerContext& context, const Call& call, const ReplyPtr& reply);

}  // namespace fathom::api
