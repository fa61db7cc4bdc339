// /v1/responses, and what is stored there.
#pragma once

#include "api/http/route.h"

namespace fathom::api {

void handle_responses(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_response_input_tokens(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_response_get(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_response_delete(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_response_cancel(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_response_input_items(HandlerContext& context, const Call& call, const ReplyPtr& reply);

// OpenAPI's parameters of the last one's query.
Json input_items_query();

}  // namespace fathom::api
