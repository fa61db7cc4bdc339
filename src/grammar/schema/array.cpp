// Arrays of JSON schemas.
#include "grammar/schema/schema_compiler.h"

namespace fathom::grammar {
namespace {

constexpr size_t kMaxPrefixItems = 1000;

}  // namespace

Result<Expr> SchemaCompiler::array(const SchemaJson& flat, const std::string& path) {
  FATHOM_TRY(check_order(flat, "minItems", "maxItems", path));
  const uint32_t least = schema_count(flat, "minItems", 0);
  uint32_t most = schema_count(flat, "maxItems", kUnbounded);
  if (flat.contains("uniqueItems") && flat["uniqueItems"].get<bool>() && most > 1) {
    return schema_error(schema_path(path, "uniqueItems"), "expected false, got true",
                        ErrorCode::kUnsupported);
  }
  static const SchemaJson none = SchemaJson::array();
  const SchemaJson& prefix = flat.contains("prefixItems") ? flat["prefixItems"] : none;
  const auto count = static_cast<uint32_t>(prefix.size());
  if (count > kMaxPrefixItems) {
    return schema_error(schema_path(path, "prefixItems"), "expected at most 1000 items, got more",
                        ErrorCode::kResourceExhausted);
  }
  const bool closed =
      flat.contains("items") ? flat["items"] == SchemaJson(false) : count > 0 && least <= count;
  if (closed) most = std::min(most, count);
  if (least > most) {
    return schema_error(schema_path(path, "minItems"),
                        "expected at most the " + std::to_string(count) + " of prefixItems, got " +
                            std::to_string(least));
  }
  Expr item = grammar_.nothing();
  if (most > count) {
    FATHOM_ASSIGN(item, value(flat.contains("items") ? flat["items"] : SchemaJson(true),
                              schema_path(path, "items")));
  }
  // From the last item to the first: `rest` is what may follow after `i` items.
  const auto more = [&](uint32_t before) {
    return grammar_.repeat(grammar_.sequence({json_.comma(), item}),
                           least > before ? least - before : 0,
                           most == kUnbounded ? kUnbounded : most - before);
  };
  Expr rest = most > count && count > 0 ? more(count) : grammar_.empty();
  if (count == 0 && most > 0) rest = grammar_.sequence({item, more(1)});
  for (uint32_t i = std::min(count, most); i > 0; --i) {
    FATHOM_ASSIGN(const Expr element,
                  value(prefix[i - 1], schema_path(schema_path(path, "prefixItems"), i - 1)));
    rest = grammar_.sequence({i == 1 ? grammar_.empty() : json_.comma(), element, rest});
    if (i > 1 && i > least) rest = grammar_.optional(rest);
  }
  std::vector<Expr> options;
  if (least == 0) options.push_back(json_.empty_brackets("[", "]"));
  if (most > 0) options.push_back(json_.bracketed("[", rest, "]"));
  return grammar_.choice(options);
}

}  // namespace fathom::grammar
