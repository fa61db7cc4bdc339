// Tables that say how a request's fields are read: name, type, range, default and help together,
// so that the reader, its messages and a description of the API cannot disagree.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/text/json_text.h"
#include "base/result.h"

namespace fathom::api {

// Of tokens: what clients mean by 2147483647 or Number.MAX_SAFE_INTEGER is no bound but the
// context's.
inline constexpr int64_t kMaxTokenCount = (int64_t{1} << 53) - 1;

struct FieldInfo {
  const char* name;
  const char* type;  // JSON schema's: "integer", "number", "string or array", ...
  const char* help;
  const char* fallback = "";  // what an absent or null field means, as shown to a reader
  std::optional<double> minimum = {};
  std::optional<double> maximum = {};
  bool required = false;
};

template <typename Request>
struct Field {
  FieldInfo info;
  // `path` names the field for messages: "messages[2].content".
  std::function<Status(const Json& value, const std::string& path, Request& request)> read;
};

template <typename Request>
using FieldTable = std::vector<Field<Request>>;

// Readers of one value. Errors are kInvalidArgument with the path in `where`, reading
// "temperature: expected a number from 0 to 2, got 7".
Result<bool> read_bool(const Json& value, const std::string& path);
Result<std::string> read_string(const Json& value, const std::string& path);
// 3.0 is an integer; 3.5 and what an int64 cannot hold are not.
Result<int64_t> read_integer(const Json& value, const std::string& path, int64_t minimum,
                             int64_t maximum);
Result<double> read_number(const Json& value, const std::string& path, double minimum,
                           double maximum);

Error expected(const std::string& path, const std::string& what, const Json& got);
Error unsupported(const std::string& path, const std::string& message);

// "messages", 2 -> "messages[2]"; "messages[2]", "role" -> "messages[2].role".
std::string index_path(const std::string& path, size_t index);
std::string key_path(const std::string& path, std::string_view key);

// The member called `name`, or null if it is absent or null.
const Json* find_member(const Json& object, const char* name);

// Calls `read(element, path)` for each element of an array of at most `max_size`.
Status read_array(const Json& value, const std::string& path, size_t max_size,
                  const std::function<Status(const Json&, const std::string&)>& read);

// Integers may be kept in a std::optional or directly.
template <typename Request, typename Member>
Field<Request> integer_field(const char* name, Member Request::*member, int64_t minimum,
                             int64_t maximum, const char* fallback, const char* help) {
  const FieldInfo info{
      name, "integer", help, fallback, static_cast<double>(minimum), static_cast<double>(maximum)};
  return {info, [=](const Json& value, const std::string& path, Request& request) -> Status {
            FATHOM_ASSIGN(const int64_t number, read_integer(value, path, minimum, maximum));
            if constexpr (requires { (request.*member).value(); }) {
              request.*member = static_cast<typename Member::value_type>(number);
            } else {
              request.*member = static_cast<Member>(number);
            }
            return {};
          }};
}

template <typename Request>
Field<Request> number_field(const char* name, float Request::*member, double minimum,
                            double maximum, const char* fallback, const char* help) {
  return {{name, "number", help, fallback, minimum, maximum},
          [=](const Json& value, const std::string& path, Request& request) -> Status {
            FATHOM_ASSIGN(const double number, read_number(value, path, minimum, maximum));
            request.*member = static_cast<float>(number);
            return {};
          }};
}

template <typename Request>
Field<Request> bool_field(const char* name, bool Request::*member, const char* fallback,
                          const char* help) {
  return {{name, "boolean", help, fallback},
          [=](const Json& value, const std::string& path, Request& request) -> Status {
            FATHOM_ASSIGN(request.*member, read_bool(value, path));
            return {};
          }};
}

// `member` is a std::string or a std::optional of one.
template <typename Request, typename Member>
Field<Request> string_field(const char* name, Member Request::*member, const char* fallback,
                            const char* help) {
  return {{name, "string", help, fallback},
          [=](const Json& value, const std::string& path, Request& request) -> Status {
            FATHOM_ASSIGN(request.*member, read_string(value, path));
            return {};
          }};
}

// A field that is understood but cannot be served: any value but null is refused.
template <typename Request>
Field<Request> refused_field(const char* name, const char* type, const char* why) {
  return {{name, type, why}, [=](const Json&, const std::string& path, Request&) -> Status {
            return unsupported(path, why);
          }};
}

// Reads the fields of `object`; members that no field of the table names are ignored.
template <typename Request>
Status read_fields(const FieldTable<Request>& table, const Json& object, const std::string& path,
                   Request& request) {
  for (const Field<Request>& field : table) {
    const std::string field_path = key_path(path, field.info.name);
    const Json* value = find_member(object, field.info.name);
    if (value != nullptr) {
      FATHOM_TRY(field.read(*value, field_path, request));
    } else if (field.info.required) {
      return invalid_argument(field_path + ": expected " + field.info.type + ", got nothing",
                              field_path);
    }
  }
  return {};
}

}  // namespace fathom::api
