#include "api/info/handlers.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "api/context/context.h"

namespace fathom::api {

namespace {

// "2023-11-14T22:13:20Z"
std::string rfc3339(int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

// For clients of OpenAI (`object`, `created`) and of Anthropic (`type`, `created_at`).
Json model_json(const ModelContext& model, const std::string& name) {
  return {{"id", name},
          {"object", "model"},
          {"created", model.info.created},
          {"owned_by", "fathom"},
          {"type", "model"},
          {"display_name", name},
          {"created_at", rfc3339(model.info.created)},
          {"max_model_len", model.limits().max_context}};
}

}  // namespace

void handle_models(HandlerContext& context, const Call&, const ReplyPtr& reply) {
  const ModelContext& model = context.model;
  Json data = Json::array({model_json(model, model.info.id)});
  for (const ModelAlias& alias : model.info.aliases) data.push_back(model_json(model, alias.name));
  Json list = {{"object", "list"}, {"has_more", false}};
  list["first_id"] = data.front()["id"];
  list["last_id"] = data.back()["id"];
  list["data"] = std::move(data);
  reply->send_json(list);
}

void handle_model(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  const auto model = context.find_model(call.argument, *reply);
  if (!model) return reply->send_error(model_not_found(call.argument));
  reply->send_json(model_json(model->context, call.argument));
}

void handle_health(HandlerContext& context, const Call&, const ReplyPtr& reply) {
  if (const auto why = context.unavailable()) return reply->send_error(*why);
  reply->send_json({{"status", "ok"}});
}

void handle_ping(HandlerContext& context, const Call&, const ReplyPtr& reply) {
  if (const auto why = context.unavailable()) return reply->send_error(*why);
  reply->send(200, "text/plain", "pong");
}

void handle_version(HandlerContext& context, const Call&, const ReplyPtr& reply) {
  reply->send_json({{"version", context.options.version}});
}

void handle_metrics(HandlerContext& context, const Call&, const ReplyPtr& reply) {
  reply->send(200, "text/plain; version=0.0.4; charset=utf-8",
              context.metrics.page(context.model.engine.stats(), context.options.kv_sent()));
}

void handle_openapi(HandlerContext& context, const Call&, const ReplyPtr& reply) {
  reply->send(200, "application/json", context.openapi);
}

}  // namespace fathom::api
