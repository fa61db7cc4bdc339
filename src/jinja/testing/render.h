// Rendering in one line, for the interpreter's tests.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/chat_template.h"

namespace fathom::jinja {

inline const nlohmann::ordered_json& sample_variables() {
  static const auto variables = nlohmann::ordered_json::parse(R"json({
    "text": "Hello, Wörld  ", "space": "  \t日本語 x\n", "five": 5, "half": 2.5, "yes": true,
    "nothing": null, "numbers": [3, 1, 2], "words": ["b", "A", "c", "a"], "empty": [],
    "record": {"k": "v", "n": 1, "items": [1], "nested": {"a": [1, {"b": "é\"\\\n\u0001"}]}},
    "objects": [{"name": "x", "v": 2, "t": true}, {"name": "Y", "v": 1},
                {"name": "z", "v": 3, "t": false}],
    "big": 12345678901234567890, "floats": [1.0, 0.1, 1e16, 1e-05, 123456.789, 1e22, -0.0, 3e-07],
    "list": "a,b,,c", "lines": "one\ntwo\r\n\nthree\n", "quotes": "it's \"q\"", "emoji": "😀é",
    "html": "<b>&\"'</b>"})json");
  return variables;
}

// Renders without messages; bos_token is "<s>" and eos_token "</s>".
inline Result<std::vector<RenderedPiece>> render_pieces(
    const std::string& source, const nlohmann::ordered_json& variables = sample_variables(),
    const RenderLimits& limits = {}) {
  auto parsed = ChatTemplate::parse(source, "<s>", "</s>", limits);
  if (!parsed) return parsed.error();
  return parsed->render(nlohmann::ordered_json::array(), nullptr, variables);
}

// The text, or "ERROR " and the message.
inline std::string render(const std::string& source,
                          const nlohmann::ordered_json& variables = sample_variables(),
                          const RenderLimits& limits = {}) {
  const auto pieces = render_pieces(source, variables, limits);
  return pieces ? text(*pieces) : "ERROR " + pieces.error().message;
}

struct RenderCase {
  const char* source;
  const char* expected;
};

inline void expect_renders(const std::vector<RenderCase>& cases) {
  for (const RenderCase& c : cases) EXPECT_EQ(render(c.source), c.expected) << c.source;
}

inline void expect_fails(const std::vector<RenderCase>& cases) {
  for (const RenderCase& c : cases) {
    const std::string result = render(c.source);
    EXPECT_TRUE(result.starts_with("ERROR chat template line ")) << c.source << ": " << result;
    EXPECT_NE(result.find(c.expected), std::string::npos) << c.source << ": " << result;
  }
}

}  // namespace fathom::jinja
