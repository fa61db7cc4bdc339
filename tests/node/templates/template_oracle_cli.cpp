// Renders chat templates for tests/node/templates: one JSON object a line on stdin,
// {"template" or "model_dir", "messages", "tools", "variables", "bos_token", "eos_token"}, and one
// a line on stdout, {"pieces": [[text, trusted], ...]} or {"error": message}.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "jinja/chat_template.h"

namespace {

using fathom::Result;
using fathom::jinja::ChatTemplate;
using fathom::jinja::ChatTemplateSource;
using fathom::jinja::RenderedPiece;
using nlohmann::ordered_json;

Result<ChatTemplateSource> read_source(const ordered_json& request) {
  if (request.contains("model_dir")) {
    return ChatTemplate::load_source(request["model_dir"].get<std::string>());
  }
  ChatTemplateSource source;
  source.text = request["template"].get<std::string>();
  source.bos_token = request.value("bos_token", "");
  source.eos_token = request.value("eos_token", "");
  return source;
}

Result<std::vector<RenderedPiece>> render(const ordered_json& request) {
  FATHOM_ASSIGN(const ChatTemplateSource source, read_source(request));
  FATHOM_ASSIGN(const ChatTemplate chat_template,
                ChatTemplate::parse(source.text, source.bos_token, source.eos_token));
  const bool has_tools = request.contains("tools") && !request["tools"].is_null();
  return chat_template.render(request["messages"], has_tools ? &request["tools"] : nullptr,
                              request["variables"]);
}

ordered_json answer(const ordered_json& request) {
  const auto pieces = render(request);
  if (!pieces) return {{"error", pieces.error().message}};
  ordered_json list = ordered_json::array();
  for (const RenderedPiece& piece : *pieces) {
    list.push_back(ordered_json::array({piece.text, piece.trusted}));
  }
  return {{"pieces", list}};
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << answer(ordered_json::parse(line)).dump() << "\n";
  }
  return 0;
}
