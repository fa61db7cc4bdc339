// The grammars of a model's answers: compiled for its tokenizer, kept by what they depend on.
#pragma once

#include <memory>
#include <mutex>

#include "api/grammars/tool_grammar.h"
#include "api/http/reply.h"
#include "api/schema/structure.h"
#include "api/text/markers.h"
#include "grammar/compiler.h"
#include "tokenizer/tokenizer.h"

namespace fathom::api {

using GrammarPtr = std::shared_ptr<const grammar::CompiledGrammar>;

// Safe to use from any number of threads. The vocabulary is laid out when it is first needed.
class AnswerGrammars {
 public:
  explicit AnswerGrammars(tokenizer::Tokenizer tokenizer);

  // Errors are kInvalidArgument or kUnsupported: the request's field in `where`, and in the message
  // the place in a schema too ("response_format.json_schema.schema: #/properties/age: ...").
  // A grammar's notes() say what of a schema that is not strict is not kept to.
  // What is not known yet is compiled within the request's budget.
  Result<GrammarPtr> of(const Structure& structure, const std::shared_ptr<WorkBudget>& budget);
  Result<GrammarPtr> of(const ToolRules& rules, const std::shared_ptr<WorkBudget>& budget);

 private:
  grammar::Compiler& compiler();
  Result<GrammarPtr> any_object(const std::string& note);

  tokenizer::Tokenizer tokenizer_;
  MarkerTable markers_;
  std::once_flag once_;
  std::unique_ptr<grammar::Compiler> compiler_;
};

// Tells the client, and the log, what a request asks for and its grammar (null: none) does not keep
// to.
void warn_of_notes(const GrammarPtr& grammar, Reply& reply);

}  // namespace fathom::api
