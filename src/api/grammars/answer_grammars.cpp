#include "api/grammars/answer_grammars.h"

#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace fathom::api {

namespace {

// Tokens that no grammar may generate are empty: special tokens other than markers, and bytes that
// never occur in UTF-8, which stand for the markers.
std::shared_ptr<const grammar::Vocabulary> vocabulary_of(const tokenizer::Tokenizer& tokenizer,
                                                         const MarkerTable& markers) {
  std::vector<std::string> marker_texts;
  for (const Marker marker : kMarkers) marker_texts.push_back(markers.grammar_text(marker));
  std::vector<std::string_view> tokens;
  for (tokenizer::TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    const bool usable = !tokenizer.is_added(id) && bytes.find('\xFF') == bytes.npos;
    tokens.push_back(usable ? bytes : std::string_view());
  }
  for (size_t i = 0; i < kMarkers.size(); ++i) {
    const auto token = markers.token_of(kMarkers[i]);
    if (token) tokens[static_cast<size_t>(*token)] = marker_texts[i];
  }
  return grammar::Vocabulary::build(tokens, {});
}

}  // namespace

AnswerGrammars::AnswerGrammars(tokenizer::Tokenizer tokenizer)
    : tokenizer_(std::move(tokenizer)), markers_(tokenizer_) {}

grammar::Compiler& AnswerGrammars::compiler() {
  std::call_once(once_, [this] {
    compiler_ = std::make_unique<grammar::Compiler>(vocabulary_of(tokenizer_, markers_));
  });
  return *compiler_;
}

Result<GrammarPtr> AnswerGrammars::of(const Structure& structure,
                                      const std::shared_ptr<WorkBudget>& budget) {
  auto compiled = compiler().compile(structure.source, budget);
  if (compiled) return compiled;
  const bool too_large = compiled.error().code == ErrorCode::kResourceExhausted;
  if (too_large && structure.source.kind == grammar::SourceKind::kEnforceableSchema) {
    return any_object("schema: any object: " + compiled.error().message);
  }
  return at_field(compiled.error(), structure.path);
}

Result<GrammarPtr> AnswerGrammars::any_object(const std::string& note) {
  return compiler().compile("object\n" + note, [&]() -> Result<grammar::Grammar> {
    FATHOM_ASSIGN(auto grammar, grammar::grammar_from({grammar::SourceKind::kJsonObject}));
    grammar.add_note(note);
    return grammar;
  });
}

Result<GrammarPtr> AnswerGrammars::of(const ToolRules& rules,
                                      const std::shared_ptr<WorkBudget>& budget) {
  // Compiled alone first, so that an error names the right field.
  if (rules.structure && !rules.forced) FATHOM_TRY(of(*rules.structure, budget));
  auto compiled =
      compiler().compile(rules.key(), [&] { return tool_call_grammar(rules, markers_, budget); });
  if (compiled) return compiled;
  const bool named = compiled.error().where.starts_with("tools[");
  return named ? compiled.error() : at_field(compiled.error(), "tools");
}

void warn_of_notes(const GrammarPtr& grammar, Reply& reply) {
  if (grammar == nullptr || grammar->notes().empty()) return;
  const auto& notes = grammar->notes();
  for (const std::string& note : notes) reply.add_warning(note);
  // One line for any number of requests, and without text of the client.
  log_warning("request {}: {} parts of its schemas are not kept to, as its x-fathom-warning says",
              reply.record().id, notes.size());
}

}  // namespace fathom::api
