// Objects of JSON schemas.
#include <algorithm>

#include "grammar/rules/nfa_builder.h"
#include "grammar/schema/schema_compiler.h"
#include "grammar/schema/types.h"
#include "grammar/sources/json_string.h"
#include "grammar/sources/regex.h"

namespace fathom::grammar {
namespace {

// An error of a pattern in patternProperties.
Error pattern_error(const std::string& path, const std::string& pattern, const Error& error) {
  return schema_error(schema_path(schema_path(path, "patternProperties"), pattern), error.message,
                      error.code);
}

std::string content_of(const std::string& name) {
  const std::string quoted = json_quoted(name);
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

struct SchemaCompiler::Properties {
  MemberList list;
  size_t required = 0;
  std::unordered_set<std::string> names;
  std::vector<Expr> reserved;  // contents of names that additional properties may not have
  std::vector<Expr> repeated;
  // What names must match, as the content of a string: each pattern of patternProperties, in order,
  // and propertyNames.
  std::vector<Dfa> patterns;
  std::optional<Dfa> allowed;
};

Result<Expr> SchemaCompiler::object(const SchemaJson& flat, const std::string& path) {
  FATHOM_TRY(check_order(flat, "minProperties", "maxProperties", path));
  Properties properties;
  FATHOM_TRY(add_rules_of_names(flat, path, properties));
  FATHOM_TRY(add_declared(flat, path, properties));
  FATHOM_TRY(add_required(flat, path, properties));
  FATHOM_TRY(add_patterns(flat, path, properties));
  FATHOM_TRY(add_additional(flat, path, properties));
  return member_list(flat, path, properties);
}

// Declared and required names are tried against these. Each is compiled once.
Status SchemaCompiler::add_rules_of_names(const SchemaJson& flat, const std::string& path,
                                          Properties& properties) {
  if (!flat.contains("properties") && !flat.contains("required")) return {};
  if (flat.contains("patternProperties")) {
    for (const auto& [pattern, schema] : flat["patternProperties"].items()) {
      const auto content = json_string_regex(grammar_, pattern);
      if (!content) return pattern_error(path, pattern, content.error());
      auto dfa = content_dfa(grammar_, *content);
      if (!dfa) return pattern_error(path, pattern, dfa.error());
      properties.patterns.push_back(std::move(*dfa));
    }
  }
  if (flat.contains("propertyNames")) {
    FATHOM_ASSIGN(const Expr names, names_content(flat, path));
    FATHOM_ASSIGN(properties.allowed, content_dfa(grammar_, names));
  }
  return {};
}

// What propertyNames allows, as the content of a string.
Result<Expr> SchemaCompiler::names_content(const SchemaJson& flat, const std::string& path) {
  const Expr any = grammar_.repeat(json_chars(grammar_, CharSet::all()), 0);
  if (!flat.contains("propertyNames")) return any;
  const std::string where = schema_path(path, "propertyNames");
  FATHOM_ASSIGN(const auto names, flattener_.flatten(flat["propertyNames"], where));
  std::vector<Expr> options;
  for (const SchemaJson& name : names) {
    const auto types = types_of(name);
    if (std::find(types.begin(), types.end(), "string") == types.end()) continue;
    if (!name.contains("enum")) {
      FATHOM_ASSIGN(const Expr content, string_content(name, where));
      options.push_back(content);
      continue;
    }
    FATHOM_ASSIGN(const Expr content, string_content(name, where));
    FATHOM_ASSIGN(const Dfa allowed, content_dfa(grammar_, content));
    for (const SchemaJson& value : name["enum"]) {
      if (!value.is_string()) continue;
      const std::string text = content_of(value.get<std::string>());
      if (matches(allowed, text)) options.push_back(grammar_.literal(text));
    }
  }
  return grammar_.choice(options);
}

Status SchemaCompiler::add_declared(const SchemaJson& flat, const std::string& path,
                                    Properties& properties) {
  if (!flat.contains("properties")) return {};
  std::unordered_set<std::string> required;
  if (flat.contains("required")) {
    for (const SchemaJson& name : flat["required"]) required.insert(name.get<std::string>());
  }
  for (const auto& [name, schema] : flat["properties"].items()) {
    FATHOM_TRY(add_member(flat, name, schema, required.contains(name),
                          schema_path(schema_path(path, "properties"), name), path, properties));
  }
  return {};
}

// Required properties that are not declared.
Status SchemaCompiler::add_required(const SchemaJson& flat, const std::string& path,
                                    Properties& properties) {
  if (!flat.contains("required")) return {};
  for (const SchemaJson& item : flat["required"]) {
    const std::string name = item.get<std::string>();
    if (properties.names.contains(name)) continue;
    // What patternProperties says of it is added by add_member().
    bool by_pattern = false;
    FATHOM_TRY(spend(properties.patterns.size() * (1 + name.size() / 4), path));
    for (const Dfa& pattern : properties.patterns) by_pattern |= matches(pattern, content_of(name));
    const SchemaJson rest = by_pattern || !flat.contains("additionalProperties")
                                ? SchemaJson(true)
                                : flat["additionalProperties"];
    if (rest == SchemaJson(false)) {
      return schema_error(schema_path(path, "required"),
                          "expected properties that may be there, got " + item.dump() +
                              ", which additionalProperties excludes");
    }
    FATHOM_TRY(add_member(flat, name, rest, true, schema_path(path, "additionalProperties"), path,
                          properties));
  }
  return {};
}

Status SchemaCompiler::add_member(const SchemaJson& flat, const std::string& name,
                                  SchemaJson schema, bool required, const std::string& where,
                                  const std::string& path, Properties& properties) {
  properties.names.insert(name);
  const std::string quoted = json_quoted(name);
  const std::string text = content_of(name);
  properties.reserved.push_back(grammar_.literal(text));
  FATHOM_TRY(spend((1 + properties.patterns.size()) * (1 + name.size() / 4), path));
  if (flat.contains("patternProperties")) {
    auto pattern = properties.patterns.begin();
    for (const auto& [source, more] : flat["patternProperties"].items()) {
      if (!matches(*pattern++, text)) continue;
      FATHOM_TRY(spend(json_weight(schema) + json_weight(more), path));
      schema = both_schemas(schema, more);
    }
  }
  const bool possible = !properties.allowed.has_value() || matches(*properties.allowed, text);
  Expr content = grammar_.nothing();
  if (possible) {
    FATHOM_ASSIGN(content, value(schema, where));
  }
  if (content == grammar_.nothing() && !required) return {};
  properties.required += required ? 1 : 0;
  properties.list.members.push_back(
      {grammar_.sequence({grammar_.literal(quoted + ":"), json_.space(), content}), required});
  return {};
}

// Names that match a pattern, no other pattern and no declared name.
Status SchemaCompiler::add_patterns(const SchemaJson& flat, const std::string& path,
                                    Properties& properties) {
  if (!flat.contains("patternProperties")) return {};
  const std::vector<Expr> declared = properties.reserved;
  FATHOM_ASSIGN(const Expr allowed, names_content(flat, path));
  std::vector<Expr> contents;
  for (const auto& [pattern, schema] : flat["patternProperties"].items()) {
    auto content = json_string_regex(grammar_, pattern);
    if (!content) return pattern_error(path, pattern, content.error());
    contents.push_back(*content);
  }
  size_t index = 0;
  for (const auto& [pattern, schema] : flat["patternProperties"].items()) {
    std::vector<Expr> others = declared;
    for (size_t i = 0; i < contents.size(); ++i) {
      if (i != index) others.push_back(contents[i]);
    }
    const Expr own =
        flat.contains("propertyNames") ? grammar_.both(contents[index], allowed) : contents[index];
    const Expr name = grammar_.difference(own, grammar_.choice(others));
    FATHOM_ASSIGN(const Expr member,
                  value(schema, schema_path(schema_path(path, "patternProperties"), pattern)));
    properties.repeated.push_back(grammar_.sequence(
        {grammar_.literal("\""), name, grammar_.literal("\":"), json_.space(), member}));
    ++index;
  }
  properties.reserved.insert(properties.reserved.end(), contents.begin(), contents.end());
  return {};
}

Status SchemaCompiler::add_additional(const SchemaJson& flat, const std::string& path,
                                      Properties& properties) {
  const bool closed = flat.contains("properties") || flat.contains("patternProperties");
  const SchemaJson schema =
      flat.contains("additionalProperties") ? flat["additionalProperties"] : SchemaJson(!closed);
  if (schema == SchemaJson(false)) return {};
  FATHOM_ASSIGN(const Expr member, value(schema, schema_path(path, "additionalProperties")));
  const bool any_name = properties.reserved.empty() && !flat.contains("propertyNames");
  Expr name = json_.string();
  if (!any_name) {
    FATHOM_ASSIGN(const Expr allowed, names_content(flat, path));
    name = grammar_.sequence({grammar_.literal("\""),
                              grammar_.difference(allowed, grammar_.choice(properties.reserved)),
                              grammar_.literal("\"")});
  }
  properties.repeated.push_back(
      grammar_.sequence({name, grammar_.literal(":"), json_.space(), member}));
  return {};
}

Result<Expr> SchemaCompiler::member_list(const SchemaJson& flat, const std::string& path,
                                         Properties& properties) {
  MemberList& list = properties.list;
  list.has_repeated = !properties.repeated.empty();
  if (list.has_repeated) list.repeated = grammar_.choice(properties.repeated);
  list.separator = json_.comma();
  list.least = schema_count(flat, "minProperties", 0);
  list.most = schema_count(flat, "maxProperties", kUnbounded);
  // Two additional properties may have the same name, and then count as one.
  if (list.has_repeated && list.least > properties.required + 1) {
    return schema_error(schema_path(path, "minProperties"),
                        "expected at most one more than there are required properties, or "
                        "additionalProperties false, got " +
                            std::to_string(list.least),
                        ErrorCode::kUnsupported);
  }
  if (list.least <= properties.required) list.least = 0;
  const bool may_be_empty = list.least == 0 && properties.required == 0;
  std::vector<Expr> options;
  if (may_be_empty) {
    options.push_back(json_.empty_brackets("{", "}"));
    list.least = 1;
  }
  const bool has_members = list.most > 0 && (list.has_repeated || !list.members.empty());
  if (has_members) {
    options.push_back(json_.bracketed("{", grammar_.members(std::move(list)), "}"));
  }
  return grammar_.choice(options);
}

}  // namespace fathom::grammar
