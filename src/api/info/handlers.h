// What the server says of itself: its models, how it is, and what it can do.
#pragma once

#include "api/http/route.h"

namespace fathom::api {

void handle_home(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_models(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_model(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_health(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_ping(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_version(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_metrics(HandlerContext& context, const Call& call, const ReplyPtr& reply);
void handle_openapi(HandlerContext& context, const Call& call, const ReplyPtr& reply);

}  // namespace fathom::api
