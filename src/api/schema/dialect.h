// Translates requests of other dialects into the body of a chat request, so that all dialects
// understand, check and refuse the same.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "api/schema/field.h"

namespace fathom::api {

// How a chat request describes a field of its own.
const FieldInfo& chat_field_info(const char* name);

// A field with the meaning of the chat field `chat_name`, which checks it. `Request` has a member
// `Json chat`, the body of the chat request.
template <typename Request>
Field<Request> as_chat_field(const char* name, const char* chat_name) {
  FieldInfo info = chat_field_info(chat_name);
  info.name = name;
  return {info, [chat_name](const Json& value, const std::string&, Request& request) -> Status {
            request.chat[chat_name] = value;
            return {};
          }};
}

template <typename Request>
Field<Request> as_chat_field(const char* name) {
  return as_chat_field<Request>(name, name);
}

// A field that means nothing here; only its type is checked.
template <typename Request>
Field<Request> ignored_string(const char* name, const char* help) {
  return {{name, "string", help}, [](const Json& value, const std::string& path, Request&) {
            const auto text = read_string(value, path);
            return text ? Status() : Status(text.error());
          }};
}

// Parts of a chat field's path, up to the end of a name, and what stands for them in a dialect: the
// first that `error.where` contains is replaced, there and in the message.
using PathNames = std::initializer_list<std::pair<const char*, const char*>>;
Error in_dialect(Error error, const PathNames& names);

// An error of a chat request's `tools`, each of which stands at its path in `tool_paths`.
Error at_tool(Error error, const std::vector<std::string>& tool_paths);

// Why a tool of a type that is not served is missing in the prompt.
std::string tool_left_out(const std::string& path, const std::string& type);

// A member that must be there.
Result<std::string> required_string(const Json& object, const char* name, const std::string& path);

// Of ids that clients give to items and calls, as OpenAI bounds them.
inline constexpr size_t kMaxIdCharacters = 512;
// A string of at most `most` characters.
Result<std::string> read_short_string(const Json& value, const std::string& path, size_t most);

// What stands in a tool's result for a part that is no text: "[image left out: ...]".
std::string left_out_note(const std::string& type);

// What a tool gave: text, or parts joined by line breaks. A part of type "text" or "input_text" has
// its text under "text"; others, images for example, are read as a note that they are left out.
Result<std::string> read_tool_output(const Json& value, const std::string& path);

// Text, or parts with a `text` whose type is among `types`, joined by line breaks. The text of the
// type "refusal" is under that name.
Result<std::string> read_text_parts(const Json& value, const std::string& path,
                                    std::initializer_list<const char*> types);

}  // namespace fathom::api
