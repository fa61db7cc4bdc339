// Merges two flat schemas (flat.h).
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "grammar/schema/document.h"

namespace fathom::grammar {

// The flat schema of values that are valid for `a` and for `b`; nothing if their types or enums
// have none in common. Errors: kResourceExhausted beyond `budget`; kUnsupported for what cannot be
// merged, naming the keyword.
Result<std::optional<SchemaJson>> merge_schemas(const SchemaJson& a, const SchemaJson& b,
                                                const std::string& path, WorkBudget& budget);

}  // namespace fathom::grammar
