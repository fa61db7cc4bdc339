// Alternatives that constants tell apart: hundreds of them cost as many steps, not their square.
#pragma once

#include <vector>

#include "grammar/schema/document.h"

namespace fathom::grammar {

struct Alternative {
  size_t index;  // in the schema's list
  SchemaJson schema;
};

// The schemas of an anyOf, or of a oneOf (`exclusive`), at `path`; those that are nothing but
// constants become one enum in place of the first of them. Errors: of check_keywords();
// kUnsupported if two of an exclusive list have the same constant.
Result<std::vector<Alternative>> join_constants(const SchemaJson& list, bool exclusive,
                                                const std::string& path);

// Whether all (flat) schemas are objects that require a property which is a constant, another one
// in each branch. False is not certain.
bool constants_tell_apart(const std::vector<std::vector<SchemaJson>>& branches);

// The error of a oneOf at `path`.
Error overlap_error(const std::string& path, size_t one, size_t other);

}  // namespace fathom::grammar
