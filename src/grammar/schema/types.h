// The types of values that a flat schema (flat.h) allows.
#pragma once

#include <string>
#include <vector>

#include "grammar/schema/document.h"

namespace fathom::grammar {

// A schema of the values valid for both: x, y or an allOf of them.
SchemaJson both_schemas(const SchemaJson& x, const SchemaJson& y);

// The types a flat schema's values may have. Without `type`, keywords say: `properties` means an
// object, `minLength` a string; where none says anything, all types.
std::vector<std::string> types_of(const SchemaJson& flat);

// Whether a value is of one of the types; whole numbers are integers and numbers.
bool has_type(const SchemaJson& value, const std::vector<std::string>& types);

// Whether a value of the type may be valid for a flat schema, by `type` and `enum` alone:
// validators take no other keyword for a type.
bool may_be(const SchemaJson& flat, const std::string& type);

}  // namespace fathom::grammar
