#include "tokenizer/json_fields.h"

#include "base/utf8.h"

namespace fathom::tokenizer {
namespace {

using nlohmann::json;

constexpr size_t kMaxDescription = 60;  // bytes

}  // namespace

std::string FieldReader::describe(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list of " + std::to_string(value.size());
  if (value.is_null()) return "nothing";
  std::string text = value.dump();
  if (text.size() <= kMaxDescription) return text;
  text.resize(valid_utf8_prefix(std::string_view(text).substr(0, kMaxDescription)));
  return text + "…";
}

Error FieldReader::error(ErrorCode code, const std::string& path, const std::string& expected,
                         const std::string& got) const {
  return {code, file_ + ": " + path + ": expected " + expected + ", got " + got, path};
}

const json& FieldReader::field(const json& object, const char* name) {
  static const json null;
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

Result<bool> FieldReader::boolean(const json& object, const std::string& path, const char* name,
                                  bool otherwise) const {
  const json& value = field(object, name);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) return corrupt(path + name, "true or false", value);
  return value.get<bool>();
}

Status FieldReader::only(const json& object, const std::string& path, const char* name,
                         bool supported) const {
  FATHOM_ASSIGN(const bool value, boolean(object, path, name, supported));
  if (value == supported) return {};
  return unsupported(path + name, supported ? "true" : "false", field(object, name));
}

Status FieldReader::type_is(const json& object, const std::string& path, const char* name) const {
  if (!object.is_object()) return corrupt(path, "an object", object);
  const json& type = field(object, "type");
  if (type == name) return {};
  return unsupported(path + ".type", "\"" + std::string(name) + "\"", type);
}

}  // namespace fathom::tokenizer
