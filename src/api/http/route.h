// A route in one entry: its handler, its cost, and its description.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/http/api_error.h"
#include "api/http/caller.h"
#include "api/text/json_text.h"
#include "net/http.h"

namespace fathom::api {

struct HandlerContext;
class Reply;
using ReplyPtr = std::shared_ptr<Reply>;

enum class RouteKind {
  kQuick,  // answered from memory, before a model is ready, too
  kShort,  // the model's work, and little of it: counting tokens, or turning them into text
  kHeavy,  // generates; its grammar may take seconds to compile
};

// A request at its handler.
struct Call {
  const net::HttpRequest& request;  // with its body unpacked
  const Caller& caller;
  std::string argument;  // what stands for the part in braces, decoded
};

// Answers through `reply`, at once or later.
using RouteHandler = void (*)(HandlerContext& context, const Call& call, const ReplyPtr& reply);

// Of a good answer.
struct AnswerShape {
  const char* type = "application/json";
  const char* schema = nullptr;  // by name (openapi_answers.h); null: text, or any object
  bool streams = false;          // events, where the request says so
};

struct Route {
  net::Method method;   // kGet stands for HEAD, too
  const char* pattern;  // "/v1/models/{model}"
  const char* summary;
  RouteKind kind;
  RouteHandler handle;
  AnswerShape answer = {};
  Json (*body)() = nullptr;   // the JSON schema of its body, where it takes one
  Json (*query)() = nullptr;  // OpenAPI's parameters of its query, where it has some
  ErrorShape errors = ErrorShape::kOpenAi;
  // Needs no key even if the server has keys, so it must not reveal anything private.
  bool is_public = false;
  bool is_probe = false;  // a health check or the like, which machines send all the time

  bool takes_body() const { return method == net::Method::kPost; }
};

}  // namespace fathom::api
