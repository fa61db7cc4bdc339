// The tools as text, for templates that do not list them. Those released with V3, R1 and V3.1 write
// calls and their results, but the server has to say which tools there are.
#pragma once

#include <string>

#include "api/grammars/tool_grammar.h"
#include "api/text/json_text.h"

namespace fathom::api {

// Of a checked array of tools, all with parameters: names, descriptions, parameters, and how a call
// is written; as the model card of DeepSeek-V3.1 describes it.
std::string tool_listing(const Json& tools, ToolForm form);

}  // namespace fathom::api
