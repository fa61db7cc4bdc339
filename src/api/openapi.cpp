#include "api/openapi.h"

#include "api/anthropic/request.h"
#include "api/openapi_answers.h"
#include "api/responses/request.h"
#include "api/router.h"
#include "api/schema_chat.h"
#include "api/schema_completion.h"
#include "api/schema_tokenize.h"

namespace fathom::api {

namespace {

// "string or array" -> ["string", "array", "null"]: null is as good as absent.
Json types_of(const FieldInfo& info) {
  Json types = Json::array();
  std::string_view rest = info.type;
  constexpr std::string_view kOr = " or ";
  for (size_t at = rest.find(kOr); at != rest.npos; at = rest.find(kOr)) {
    types.push_back(rest.substr(0, at));
    rest.remove_prefix(at + kOr.size());
  }
  types.push_back(rest);
  if (!info.required) types.push_back("null");
  return types.size() == 1 ? types[0] : types;
}

// What absence means: as a value if it is one, else in words.
void add_fallback(const FieldInfo& info, Json& property) {
  const std::string fallback = info.fallback;
  if (fallback.empty()) return;
  const auto value = parse_json(fallback);
  if (value) {
    property["default"] = *value;
  } else {
    property["description"] =
        property["description"].get<std::string>() + " Default: " + fallback + ".";
  }
}

// The limits of a field without any are those of its type in C++, which say nothing to a reader.
constexpr double kUnlimited = 1e15;

Json property_of(const FieldInfo& info) {
  Json property = {{"type", types_of(info)}, {"description", info.help}};
  add_fallback(info, property);
  if (info.minimum && *info.minimum > -kUnlimited) property["minimum"] = *info.minimum;
  if (info.maximum && *info.maximum < kUnlimited) property["maximum"] = *info.maximum;
  return property;
}

template <typename Request>
void add_fields(const FieldTable<Request>& table, Json& schema) {
  for (const auto& field : table) {
    schema["properties"][field.info.name] = property_of(field.info);
    if (field.info.required) schema["required"].push_back(field.info.name);
  }
}

// The schema of a route's body; null if it takes none.
Json body_schema(Route route) {
  Json schema = {{"type", "object"}, {"properties", Json::object()}};
  switch (route) {
    case Route::kChat:
      add_fields(chat_field_table(), schema);
      add_fields(generation_field_table(), schema);
      return schema;
    case Route::kCompletions:
      add_fields(completion_field_table(), schema);
      add_fields(generation_field_table(), schema);
      return schema;
    case Route::kResponses:
    case Route::kResponseInputTokens:
      add_fields(responses::responses_field_table(), schema);
      return schema;
    case Route::kMessages:
      add_fields(anthropic::messages_field_table(), schema);
      schema["required"].push_back("max_tokens");
      return schema;
    case Route::kMessageCount:
      add_fields(anthropic::messages_field_table(), schema);
      return schema;
    case Route::kTokenize:
      add_fields(tokenize_field_table(), schema);
      return schema;
    case Route::kDetokenize:
      add_fields(detokenize_field_table(), schema);
      return schema;
    default:
      return nullptr;
  }
}

Json parameter(const std::string& name, const char* where, Json schema) {
  return {{"name", name},
          {"in", where},
          {"required", std::string_view(where) == "path"},
          {"schema", std::move(schema)}};
}

Json parameters_of(const RouteEntry& entry) {
  Json parameters = Json::array();
  const std::string pattern = entry.pattern;
  if (const size_t open = pattern.find('{'); open != pattern.npos) {
    const std::string name = pattern.substr(open + 1, pattern.find('}') - open - 1);
    parameters.push_back(parameter(name, "path", {{"type", "string"}}));
  }
  if (entry.route == Route::kResponseInputItems) {
    parameters.push_back(
        parameter("limit", "query", {{"type", "integer"}, {"minimum", 1}, {"maximum", 100}}));
    parameters.push_back(parameter("order", "query", {{"enum", {"asc", "desc"}}}));
    parameters.push_back(parameter("after", "query", {{"type", "string"}}));
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

Json operation_of(const RouteEntry& entry) {
  Json operation = {{"summary", entry.summary}};
  if (Json parameters = parameters_of(entry); !parameters.empty()) {
    operation["parameters"] = std::move(parameters);
  }
  if (Json schema = body_schema(entry.route); !schema.is_null()) {
    operation["requestBody"] = {{"required", true},
                                {"content", {{"application/json", {{"schema", schema}}}}}};
  }
  operation["responses"] = {
      {"200", {{"description", "The answer."}, {"content", answer_content(entry.route)}}},
      {"default", error_answer(error_shape(entry.route))}};
  return operation;
}

const char* method_key(net::Method method) {
  if (method == net::Method::kGet) return "get";
  return method == net::Method::kPost ? "post" : "delete";
}

}  // namespace

Json openapi_document(const std::string& version) {
  Json paths = Json::object();
  for (const RouteEntry& entry : route_table()) {
    paths[entry.pattern][method_key(entry.method)] = operation_of(entry);
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
