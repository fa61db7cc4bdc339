// vLLM's /tokenize and /detokenize.
#pragma once

#include "api/http/route.h"

namespace fathom::api {

void handle_tokenize(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_detokenize(HandlerContext& context, const Call& call, const ReplyPtr& reply);

}  // namespace fathom::api
