#include "api/openapi.h"

#include "api/openapi_answers.h"

namespace fathom::api {

namespace {

Json parameters_of(const Route& route) {
  Json parameters = Json::array();
  const std::string pattern = route.pattern;
  if (const size_t open = pattern.find('{'); open != pattern.npos) {
    const std::string name = pattern.substr(open + 1, pattern.find('}') - open - 1);
    parameters.push_back(
        {{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
  }
  if (route.query != nullptr) {
    for (Json& parameter : route.query()) parameters.push_back(std::move(parameter));
  }
  return parameters;
}

Json error_answer(ErrorShape shape) {
  const char* name = shape == ErrorShape::kAnthropic ? "AnthropicError" : "Error";
  return {{"description", "What is wrong, and with which field."},
          {"content",
           {{"application/json",
             {{"schema", {{"$ref", std::string("#/components/schemas/") + name}}}}}}}};
}

// By content type, of a good answer.
Json answer_content(const AnswerShape& answer) {
  const bool is_json = std::string_view(answer.type) == "application/json";
  Json schema = {{"type", is_json ? "object" : "string"}};
  if (answer.schema != nullptr) {
    schema = {{"$ref", std::string("#/components/schemas/") + answer.schema}};
  }
  Json content = {{answer.type, {{"schema", std::move(schema)}}}};
  if (answer.streams) {
    content["text/event-stream"] = {
        {"schema", {{"type", "string"}, {"description", "Events, if stream is true."}}}};
  }
  return content;
}

Json operation_of(const Route& route) {
  Json operation = {{"summary", route.summary}};
  if (Json parameters = parameters_of(route); !parameters.empty()) {
    operation["parameters"] = std::move(parameters);
  }
  if (route.body != nullptr) {
    operation["requestBody"] = {{"required", true},
                                {"content", {{"application/json", {{"schema", route.body()}}}}}};
  }
  operation["responses"] = {
      {"200", {{"description", "The answer."}, {"content", answer_content(route.answer)}}},
      {"default", error_answer(route.errors)}};
  return operation;
}

const char* method_key(net::Method method) {
  if (method == net::Method::kGet) return "get";
  return method == net::Method::kPost ? "post" : "delete";
}

}  // namespace

Json openapi_document(const std::vector<Route>& routes, const std::string& version) {
  Json paths = Json::object();
  for (const Route& route : routes) {
    paths[route.pattern][method_key(route.method)] = operation_of(route);
  }
  return {{"openapi", "3.1.0"},
          {"info",
           {{"title", "Fathom"},
            {"version", version},
            {"description",
             "Every route that begins with /v1 also answers without it and under /beta. Fields "
             "that no table names are ignored; null is as good as absent."},
            {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
          {"paths", std::move(paths)},
          {"components", {{"schemas", answer_schemas()}}}};
}

}  // namespace fathom::api
