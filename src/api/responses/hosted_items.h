// Items of a history whose tools OpenAI runs, or a client of OpenAI's own: web searches, shells,
// computers, MCP. This server offers no such tools, but conversations that used them go on here.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "api/text/json_text.h"
#include "base/result.h"

namespace fathom::api::responses {

// By its type: "..._call", "..._call_output" and some more.
bool is_hosted_item(const std::string& type);

// Checks the item and returns it with an id.
Result<Json> read_hosted_item(const Json& item, const std::string& path);

// Such an item as parts of a chat: a call, a call's result, both or, where the answer that followed
// says what came of it, none.
struct HostedParts {
  std::optional<Json> call = {};    // of an assistant's tool_calls
  std::optional<Json> result = {};  // a message of the role "tool"
};
HostedParts hosted_parts(const Json& item);

}  // namespace fathom::api::responses
