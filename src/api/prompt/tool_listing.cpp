#include "api/prompt/tool_listing.h"

#include <nlohmann/json.hpp>

#include "api/schema/field.h"
#include "api/text/markers.h"

namespace fathom::api {

namespace {

std::string call_pattern(ToolForm form) {
  const auto mark = [](Marker marker) { return std::string(marker_text(marker)); };
  const std::string call =
      form == ToolForm::kPlain
          ? "NAME" + mark(Marker::kCallSeparator) + "ARGUMENTS"
          : "function" + mark(Marker::kCallSeparator) + "NAME\n```json\nARGUMENTS\n```";
  return mark(Marker::kCallsBegin) + mark(Marker::kCallBegin) + call + mark(Marker::kCallEnd) +
         mark(Marker::kCallsEnd);
}

}  // namespace

std::string tool_listing(const Json& tools, ToolForm form) {
  std::string text = "## Tools\nYou have access to the following tools:\n";
  for (const Json& tool : tools) {
    const Json& function = tool["function"];
    const Json* description = find_member(function, "description");
    text += "\n### " + function["name"].get<std::string>() + "\n";
    if (description != nullptr) text += "Description: " + description->get<std::string>() + "\n";
    text += "\nParameters: " + dump_json(function["parameters"]) + "\n";
  }
  return text +
         "\nTo call a tool, answer in exactly this form, with the tool's name for NAME and, for "
         "ARGUMENTS, JSON that is valid by the tool's parameters; further calls follow the first "
         "within the outer marks:\n" +
         call_pattern(form);
}

}  // namespace fathom::api
