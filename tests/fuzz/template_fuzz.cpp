// A chat template and a conversation, as JSON behind a line "---". Without one a fixed
// conversation is rendered.
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "fuzz_target.h"
#include "jinja/chat_template.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  using Json = nlohmann::ordered_json;
  static const Json kMessages = {{{"role", "system"}, {"content", "Be <|x|> kind."}},
                                 {{"role", "user"}, {"content", "2 + 2?"}}};
  constexpr std::string_view kBorder = "\n---\n";
  constexpr jinja::RenderLimits kLimits = {
      .steps = 50'000, .text_bytes = 1 << 18, .live_bytes = 1 << 20};
  const std::string_view text = fuzz::as_text(data, size);
  const size_t border = text.find(kBorder);
  Json messages = kMessages;
  if (border != text.npos) {
    messages = Json::parse(text.substr(border + kBorder.size()), nullptr, false);
    if (messages.is_discarded()) return 0;
  }
  const auto made =
      jinja::ChatTemplate::parse(std::string(text.substr(0, border)), "<s>", "</s>", kLimits);
  if (!made) return 0;
  const auto pieces = made->render(messages, nullptr, {{"add_generation_prompt", true}});
  if (pieces) FATHOM_CHECK(jinja::text(*pieces).size() <= kLimits.text_bytes, "text is bounded");
  return 0;
}
