// JSON schemas as Grammars of their valid values.
//
// Supported: type (also lists, and OpenAPI's nullable), enum, const, properties, required,
// additionalProperties, patternProperties, propertyNames, minProperties, maxProperties, items,
// prefixItems, additionalItems, minItems, maxItems, minLength, maxLength, pattern, format (names in
// json_format.cpp), minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf (whole numbers
// up to 1000), anyOf, oneOf (of schemas that are seen to exclude each other), allOf (merged), $ref
// into the schema itself, with recursion, $defs, true and false. Upper counts from kNoBound on
// (limits.h) are none. Annotations are ignored (title,
// description, default, examples and so on: is_annotation()). Any other keyword is an error.
//
// What is generated is always valid, but not everything that is valid is generated:
//  - Properties come in the schema's order, then those of patternProperties, then additional ones.
//    A schema with properties that says nothing of additionalProperties gets none, nor does a tuple
//    get items behind prefixItems unless `items` or minItems asks for them.
//  - Without `type`, keywords say which types are meant: properties an object, minLength a string.
//  - Strings with a pattern, format or length, and names of additional properties, are spelled with
//    the escapes that JSON demands and no others (json_string.h); patterns and lengths count
//    characters of the value. Patterns are searched for, as JSON Schema asks, unless anchored.
//  - White space is bounded (json_value.h), and so are digits (json_number.h): bounded numbers have
//    no exponent.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/rules/grammar.h"

namespace fathom::grammar {

// The schema's values as a part of `grammar`. Errors name the place in the schema in `where` and in
// the message ("#/properties/age/minimum"): kInvalidArgument for what is no schema or has no valid
// value, kUnsupported for what we do not do, kResourceExhausted beyond the limits or the grammar's
// budget.
Result<Expr> json_schema_value(Grammar& grammar, std::string_view schema);
// A grammar of these values.
Result<Grammar> json_schema_grammar(
    std::string_view schema, std::shared_ptr<WorkBudget> budget = std::make_shared<WorkBudget>());

// A schema without what is not supported.
struct EnforceableSchema {
  Grammar grammar;  // `like`, with the values
  Expr value;
  std::string text;                // of the schema that is left
  std::vector<std::string> notes;  // of what is left out: "#/properties/a/not: is not supported"
};
// Removes one keyword after the other until the rest can be enforced. Errors: as of
// json_schema_value(), but never kUnsupported.
Result<EnforceableSchema> enforceable_schema(Grammar like, std::string_view schema);

// Any JSON object.
Expr json_object_value(Grammar& grammar);

}  // namespace fathom::grammar
