#include "api/schema/structure.h"

#include <nlohmann/json.hpp>
#include <vector>

namespace fathom::api {

namespace {

using grammar::SourceKind;

constexpr size_t kMaxChoices = 100'000;

bool is_schema(const Json& value) {
  return value.is_object() || value.is_boolean();
}

Result<Structure> read_json(const Json& value, const std::string& path) {
  if (is_schema(value)) return Structure{{SourceKind::kJsonSchema, schema_text(value)}, path};
  if (value.is_string()) {
    return Structure{{SourceKind::kJsonSchema, value.get<std::string>()}, path};
  }
  return expected(path, "a JSON schema, or its text", value);
}

Result<Structure> read_json_object(const Json& value, const std::string& path) {
  FATHOM_ASSIGN(const bool wanted, read_bool(value, path));
  if (!wanted) return expected(path, "true", value);
  return Structure{{SourceKind::kJsonObject}, path};
}

Result<Structure> read_regex(const Json& value, const std::string& path) {
  FATHOM_ASSIGN(std::string text, read_string(value, path));
  return Structure{{SourceKind::kRegex, std::move(text)}, path};
}

Result<Structure> read_grammar(const Json& value, const std::string& path) {
  FATHOM_ASSIGN(std::string text, read_string(value, path));
  return Structure{{SourceKind::kEbnf, std::move(text)}, path};
}

Result<Structure> read_choice(const Json& value, const std::string& path) {
  FATHOM_TRY(read_array(value, path, kMaxChoices, [](const Json& item, const std::string& at) {
    const auto text = read_string(item, at);
    return text ? Status() : Status(text.error());
  }));
  if (value.empty()) return expected(path, "at least one text", value);
  return Structure{{SourceKind::kChoice, dump_json(value)}, path};
}

constexpr std::pair<const char*, Result<Structure> (*)(const Json&, const std::string&)> kKinds[] =
    {{"json", read_json},
     {"json_object", read_json_object},
     {"regex", read_regex},
     {"grammar", read_grammar},
     {"choice", read_choice}};

Status set(Structure wanted, std::optional<Structure>& structure) {
  if (structure) {
    return invalid_argument(wanted.path +
                                ": expected only one of response_format and "
                                "structured_outputs, got both",
                            wanted.path);
  }
  structure = std::move(wanted);
  return {};
}

}  // namespace

Error at_field(Error error, const std::string& path) {
  if (error.code != ErrorCode::kUnsupported) error.code = ErrorCode::kInvalidArgument;
  if (error.message.find(error.where) == error.message.npos) {
    error = error.with_context(error.where);  // a rule's name, or a place in a schema
  }
  if (!error.message.starts_with(path)) error = error.with_context(path);
  error.where = path;
  return error;
}

std::string schema_text(const Json& schema) {
  return dump_json(schema);
}

Status read_response_format(const Json& value, const std::string& path,
                            std::optional<Structure>& structure) {
  const Json* type = value.is_object() ? find_member(value, "type") : nullptr;
  if (type == nullptr) return expected(path, "an object with a type", value);
  if (*type == "text") return {};
  if (*type == "json_object") return set({{SourceKind::kJsonObject}, path}, structure);
  if (*type != "json_schema") {
    return expected(key_path(path, "type"), "text, json_object or json_schema", *type);
  }
  const std::string format_path = key_path(path, "json_schema");
  const Json* format = find_member(value, "json_schema");
  if (format == nullptr || !format->is_object()) {
    return expected(format_path, "an object with name and schema",
                    format == nullptr ? Json() : *format);
  }
  const std::string name_path = key_path(format_path, "name");
  const Json* name = find_member(*format, "name");
  if (name == nullptr) return expected(name_path, "a string", Json());
  FATHOM_TRY(read_string(*name, name_path));
  SourceKind kind = SourceKind::kEnforceableSchema;
  if (const Json* strict = find_member(*format, "strict")) {
    FATHOM_ASSIGN(const bool whole, read_bool(*strict, key_path(format_path, "strict")));
    if (whole) kind = SourceKind::kJsonSchema;
  }
  const std::string schema_path = key_path(format_path, "schema");
  const Json* schema = find_member(*format, "schema");
  if (schema == nullptr) return set({{SourceKind::kJsonObject}, schema_path}, structure);
  if (!is_schema(*schema)) return expected(schema_path, "a JSON schema", *schema);
  return set({{kind, schema_text(*schema)}, schema_path}, structure);
}

Status read_structured_outputs(const Json& value, const std::string& path,
                               std::optional<Structure>& structure) {
  constexpr const char* kWanted = "one of json, json_object, regex, grammar and choice";
  if (!value.is_object()) return expected(path, std::string("an object with ") + kWanted, value);
  std::optional<Structure> wanted;
  for (const auto& [name, read] : kKinds) {
    const Json* member = find_member(value, name);
    if (member == nullptr) continue;
    if (wanted) return expected(path, kWanted, value);
    FATHOM_ASSIGN(wanted, read(*member, key_path(path, name)));
  }
  if (!wanted) return expected(path, kWanted, value);
  return set(std::move(*wanted), structure);
}

}  // namespace fathom::api
