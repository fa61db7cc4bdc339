#include "jinja/chat_template.h"

#include <exception>
#include <nlohmann/json.hpp>

#include "jinja/error.h"
#include "jinja/eval.h"
#include "jinja/parser.h"

namespace fathom::jinja {
namespace {

constexpr std::size_t kLongestSource = std::size_t{1} << 20;

std::shared_ptr<Scope> make_variables(Heap& heap, const nlohmann::ordered_json& messages,
                                      const nlohmann::ordered_json* tools,
                                      const nlohmann::ordered_json& variables) {
  if (!variables.is_object()) fail("expected the template's variables as an object");
  auto scope = std::make_shared<Scope>();
  // Hugging Face gives templates both, as none where there are none.
  scope->values["documents"] = None{};
  for (const auto& [name, value] : variables.items()) {
    scope->values[name] = from_json(heap, value);
  }
  scope->values["messages"] = from_json(heap, messages);
  scope->values["tools"] = tools == nullptr ? Value(None{}) : from_json(heap, *tools);
  return scope;
}

std::vector<RenderedPiece> to_pieces(const MarkedText& text) {
  std::vector<RenderedPiece> pieces;
  pieces.reserve(text.runs().size());
  std::size_t begin = 0;
  for (const auto& run : text.runs()) {
    pieces.push_back({text.bytes().substr(begin, run.end - begin), run.trusted});
    begin = run.end;
  }
  return pieces;
}

}  // namespace

struct ChatTemplate::Parsed {
  Block block;
  TextPtr bos_token;
  TextPtr eos_token;
  RenderLimits limits;
};

std::string text(const std::vector<RenderedPiece>& pieces) {
  std::string all;
  for (const RenderedPiece& piece : pieces) all += piece.text;
  return all;
}

Result<ChatTemplate> ChatTemplate::parse(const std::string& source, const std::string& bos_token,
                                         const std::string& eos_token, const RenderLimits& limits) {
  try {
    if (source.size() > kLongestSource)
      fail("expected a template of at most 1 MiB, got a longer one");
    auto parsed = std::make_shared<Parsed>();
    parsed->block = parse_template(source);
    parsed->bos_token = make_literal(bos_token);
    parsed->eos_token = make_literal(eos_token);
    parsed->limits = limits;
    return ChatTemplate(std::move(parsed));
  } catch (const Failure& failure) {
    return failure.to_error();
  } catch (const std::exception& error) {
    return Error{ErrorCode::kInternal, std::string("chat template: ") + error.what()};
  }
}

Result<std::vector<RenderedPiece>> ChatTemplate::render(
    const nlohmann::ordered_json& messages, const nlohmann::ordered_json* tools,
    const nlohmann::ordered_json& variables) const {
  try {
    Heap heap(parsed_->limits);
    const auto scope = make_variables(heap, messages, tools, variables);
    scope->values["bos_token"] = parsed_->bos_token;
    scope->values["eos_token"] = parsed_->eos_token;
    return to_pieces(Evaluator(heap, scope).run(parsed_->block));
  } catch (const Failure& failure) {
    return failure.to_error();
  } catch (const std::exception& error) {
    return Error{ErrorCode::kInternal, std::string("chat template: ") + error.what()};
  }
}

}  // namespace fathom::jinja
