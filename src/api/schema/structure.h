// What a request asks the text of its answer to be, read from `response_format` (OpenAI's) and
// `structured_outputs` (vLLM's).
#pragma once

#include <optional>
#include <string>

#include "api/schema/field.h"
#include "grammar/compiler.h"

namespace fathom::api {

struct Structure {
  grammar::GrammarSource source;
  std::string path;  // of the field that asks for it: "response_format.json_schema.schema"
};

// Both change `structure` unless they ask for nothing.
// {"type": "text" | "json_object"} or {"type": "json_schema", "json_schema": {"name", "schema"}}:
// without `strict` a schema is kept to as far as it can be (grammar::enforceable_schema()).
Status read_response_format(const Json& value, const std::string& path,
                            std::optional<Structure>& structure);
// Kept to whole or refused: one of {"json": schema or its text}, {"json_object": true}, {"regex"},
// {"grammar": EBNF} and
// {"choice": [texts]}.
Status read_structured_outputs(const Json& value, const std::string& path,
                               std::optional<Structure>& structure);

// What a grammar refuses, as the fault of the request's field at `path`: kInvalidArgument or
// kUnsupported, with the place within the field in the message.
Error at_field(Error error, const std::string& path);

// A schema as text, with its members in the order they have in `schema`.
std::string schema_text(const Json& schema);

}  // namespace fathom::api
