#include "api/body_schemas.h"

#include "api/anthropic/request.h"
#include "api/responses/request.h"
#include "api/schema/chat.h"
#include "api/schema/completion.h"
#include "api/schema/tokenize.h"

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

// The default: a JSON value if the text is one, else a description.
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

// A field without limits has those of its C++ type, which are of no use to a reader.
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

template <typename Request>
Json body_of(const FieldTable<Request>& table) {
  Json schema = {{"type", "object"}, {"properties", Json::object()}};
  add_fields(table, schema);
  return schema;
}

}  // namespace

Json chat_body() {
  Json schema = body_of(chat_field_table());
  add_fields(generation_field_table(), schema);
  return schema;
}

Json completion_body() {
  Json schema = body_of(completion_field_table());
  add_fields(generation_field_table(), schema);
  return schema;
}

Json responses_body() {
  return body_of(responses::responses_field_table());
}

Json messages_body() {
  Json schema = message_count_body();
  schema["required"].push_back("max_tokens");
  return schema;
}

Json message_count_body() {
  return body_of(anthropic::messages_field_table());
}

Json tokenize_body() {
  return body_of(tokenize_field_table());
}

Json detokenize_body() {
  return body_of(detokenize_field_table());
}

}  // namespace fathom::api
