// Flat schemas: what is left of a schema after $ref, allOf, anyOf and oneOf are worked out. One
// schema is any of several flat ones.
//
// In a flat schema `type` is a list (or absent: any), `const` is an enum of one, `pattern` and
// `format` are lists, items as a list are prefixItems, and `nullable` is a type. Schemas within it
// are as they were, or an allOf of some.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "grammar/schema/document.h"

namespace fathom::grammar {

class SchemaFlattener {
 public:
  explicit SchemaFlattener(const SchemaDocument& document) : document_(document) {}

  // Errors: as check_keywords(); kUnsupported if branches of oneOf are not seen to exclude each
  // other; kResourceExhausted for more alternatives than kMaxAlternatives or endless references.
  Result<std::vector<SchemaJson>> flatten(const SchemaJson& schema, const std::string& path);

  // Whether no value is seen to be valid for both (flat) schemas: true is certain, false is not.
  Result<bool> disjoint(const SchemaJson& a, const SchemaJson& b, const std::string& path);

 private:
  Result<std::vector<SchemaJson>> flatten(const SchemaJson& schema, const std::string& path,
                                          int depth);
  Result<bool> disjoint_objects(const SchemaJson& a, const SchemaJson& b, const std::string& path);
  Result<bool> disjoint_members(const SchemaJson& one, const SchemaJson& other,
                                const std::string& name, const std::string& path);
  Status spend(uint64_t units, const std::string& path);
  // Two branches that are not seen to exclude each other, if there are any.
  Result<std::optional<std::pair<size_t, size_t>>> find_overlap(
      const std::vector<std::vector<SchemaJson>>& branches, const std::string& path);

  const SchemaDocument& document_;
  int compared_depth_ = 0;   // of properties that disjoint() looks into
  size_t compared_ = 0;      // pairs of flat schemas so far
  size_t merged_bytes_ = 0;  // text of all schemas made so far
};

}  // namespace fathom::grammar
