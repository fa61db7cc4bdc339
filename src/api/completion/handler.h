// POST /v1/completions.
#pragma once

#include "api/http/route.h"

namespace fathom::api {

void handle_completion(HandlerContext& context, const Call& call, const ReplyPtr& reply);

}  // namespace fathom::api
