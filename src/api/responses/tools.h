// The tools of a request: as the model knows them, and as the client does.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/text/json_text.h"
#include "base/result.h"

namespace fathom::api::responses {

// How a client names a tool that is no plain function.
struct ClientTool {
  std::string name = {};
  std::string group = {};  // its namespace; may be empty
  bool custom = false;     // takes text, not JSON
};

// By the names under which the model knows them.
using ClientTools = std::map<std::string, ClientTool>;

struct RequestTools {
  Json chat = Json::array();  // as the body of a chat request has them
  Json echo = Json::array();  // as the response repeats them
  ClientTools special;
  std::vector<std::string> paths;     // of each of `chat` within the request: "tools[2]"
  std::vector<std::string> left_out;  // what is not served, for the client to read
};

// Functions, custom tools, and namespaces of both. Tools of other types would be run by OpenAI:
// they are left out.
Result<RequestTools> read_tools(const Json& value, const std::string& path);

// auto, none, required, a function, a custom tool or allowed tools, as a chat request has it.
Result<Json> read_tool_choice(const Json& value, const std::string& path);

// The name under which the model knows a tool; `group` may be empty.
std::string model_name(const std::string& group, const std::string& name);

}  // namespace fathom::api::responses
