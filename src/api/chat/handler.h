// POST /v1/chat/completions.
#pragma once

#include "api/http/route.h"

namespace fathom::api {

void handle_chat(HandlerContext& context, const Call& call, const ReplyPtr& reply);

}  // namespace fathom::api
