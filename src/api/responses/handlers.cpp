#include "api/responses/handlers.h"

#include <nlohmann/json.hpp>

#include "api/chat/choices.h"
#include "api/chat/start.h"
#include "api/responses/answer.h"
#include "api/responses/input_items.h"
#include "api/responses/request.h"
#include "api/text/ids.h"

namespace fathom::api {

namespace {

using responses::ResponsesRequest;

struct Turn {
  ResponsesRequest request;
  ChatRequest chat;
  Json items;  // earlier turns' and this one's
};

Error no_such_response(const std::string& id, const char* path) {
  return {ErrorCode::kNotFound,
          "Response with id '" + shorten(id, 100) +
              "' not found: it was never stored, is too old, "
              "or was deleted",
          path};
}

// All items before the turn that follows response `id`.
Result<Json> earlier_items(const HandlerContext& context, const Caller& caller,
                           const std::string& id) {
  const auto stored = context.responses->find(caller.owner, id);
  if (!stored) {
    Error error = no_such_response(id, "previous_response_id");
    error.code = ErrorCode::kInvalidArgument;
    return error;
  }
  FATHOM_ASSIGN(Json items, parse_json(stored->input));
  FATHOM_ASSIGN(const Json response, parse_json(stored->response));
  for (const Json& item : response["output"]) items.push_back(item);
  return items;
}

Result<Turn> read_turn(const HandlerContext& context, const Caller& caller,
                       const std::string& body) {
  FATHOM_ASSIGN(const Json json, parse_json(body));
  Turn turn;
  FATHOM_ASSIGN(turn.request, responses::read_responses_request(json));
  turn.items = Json::array();
  if (turn.request.previous_response_id) {
    FATHOM_ASSIGN(turn.items, earlier_items(context, caller, *turn.request.previous_response_id));
  }
  for (const Json& item : turn.request.input) turn.items.push_back(item);

  Json messages = responses::to_messages(turn.items);
  if (turn.request.instructions) {
    messages.insert(messages.begin(),
                    Json{{"role", "system"}, {"content", *turn.request.instructions}});
  }
  turn.request.chat["messages"] = std::move(messages);
  auto chat = read_chat(context, turn.request.chat);
  if (!chat) return responses::in_responses(chat.error(), turn.request.tools.paths);
  turn.chat = std::move(*chat);
  return turn;
}

void send_not_found(const std::string& id, const ReplyPtr& reply) {
  reply->send_error(to_api_error(no_such_response(id, "response_id")));
}

}  // namespace

void handle_responses(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  auto turn = read_turn(context, call.caller, call.request.body);
  if (!turn) return reply->send_error(to_api_error(turn.error()));

  for (const std::string& text : turn->request.tools.left_out) reply->add_warning(text);
  const auto make_answer = [&](const ModelContext& model, int64_t) {
    responses::ResponseAnswerOptions options;
    options.id = secret_id("resp_");
    options.model = model.info.id;
    options.echo = std::move(turn->request.echo);
    options.tools = std::move(turn->request.tools.special);
    options.stream = turn->chat.stream;
    options.logprobs = turn->request.logprobs;
    options.keep_alive = context.options.keep_alive;
    if (turn->request.store) {
      options.keep = [store = context.responses, owner = call.caller.owner, id = options.id,
                      items = dump_json(turn->items)](const Json& response) {
        store->put(owner, id, {dump_json(response), items});
      };
    }
    return responses::make_response_answer(
        std::move(options), TokenWords(model.tokenizer, turn->chat.tokens_as_ids), reply);
  };
  const auto rename = [&](Error error) {
    return responses::in_responses(std::move(error), turn->request.tools.paths);
  };
  start_chat(context, call.caller, turn->chat, {"input", rename}, make_answer, reply);
}

void handle_response_input_tokens(HandlerContext& context, const Call& call,
                                  const ReplyPtr& reply) {
  const auto turn = read_turn(context, call.caller, call.request.body);
  if (!turn) return reply->send_error(to_api_error(turn.error()));
  const auto model = context.find_model(turn->chat.model, *reply);
  if (!model) return reply->send_error(model_not_found(*turn->chat.model));
  const auto prompt = chat_prompt(*model, turn->chat);
  if (!prompt) return reply->send_error(prompt_refusal(prompt.error()));
  reply->send_json({{"object", "response.input_tokens"}, {"input_tokens", prompt->tokens.size()}});
}

void handle_response_get(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  if (net::query_parameter(call.request.query, "stream").value_or("false") != "false") {
    return reply->send_error(to_api_error(unsupported("stream", "a finished response has none")));
  }
  const auto stored = context.responses->find(call.caller.owner, call.argument);
  if (!stored) return send_not_found(call.argument, reply);
  reply->send(200, "application/json", stored->response);
}

void handle_response_delete(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  const std::string& id = call.argument;
  if (!context.responses->erase(call.caller.owner, id)) return send_not_found(id, reply);
  reply->send_json({{"id", id}, {"object", "response"}, {"deleted", true}});
}

void handle_response_cancel(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  if (!context.responses->find(call.caller.owner, call.argument)) {
    return send_not_found(call.argument, reply);
  }
  reply->send_error(to_api_error(invalid_argument(
      "Only a response that is made in background can be cancelled", "response_id")));
}

}  // namespace fathom::api
