#include "grammar/schema/document.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/json_file.h"
#include "grammar/rules/limits.h"

namespace fathom::grammar {
namespace {

constexpr size_t kMaxSchemaBytes = size_t{256} << 10;

enum class Needs {
  kSchema,
  kSchemas,       // a list of at least one
  kNamedSchemas,  // an object of them
  kItems,         // a schema, or a list of them (before draft 2020-12)
  kText,
  kTexts,
  kCount,
  kNumber,
  kFlag,
  kList,
  kType,
  kAnything,
};

struct Keyword {
  std::string_view name;
  Needs needs;
};

constexpr std::array kKeywords = {
    Keyword{"$ref", Needs::kText},
    Keyword{"type", Needs::kType},
    Keyword{"enum", Needs::kList},
    Keyword{"const", Needs::kAnything},
    Keyword{"nullable", Needs::kFlag},
    Keyword{"allOf", Needs::kSchemas},
    Keyword{"anyOf", Needs::kSchemas},
    Keyword{"oneOf", Needs::kSchemas},
    Keyword{"properties", Needs::kNamedSchemas},
    Keyword{"patternProperties", Needs::kNamedSchemas},
    Keyword{"additionalProperties", Needs::kSchema},
    Keyword{"propertyNames", Needs::kSchema},
    Keyword{"required", Needs::kTexts},
    Keyword{"minProperties", Needs::kCount},
    Keyword{"maxProperties", Needs::kCount},
    Keyword{"prefixItems", Needs::kSchemas},
    Keyword{"items", Needs::kItems},
    Keyword{"additionalItems", Needs::kSchema},
    Keyword{"minItems", Needs::kCount},
    Keyword{"maxItems", Needs::kCount},
    Keyword{"uniqueItems", Needs::kFlag},
    Keyword{"minLength", Needs::kCount},
    Keyword{"maxLength", Needs::kCount},
    Keyword{"pattern", Needs::kText},
    Keyword{"format", Needs::kText},
    Keyword{"minimum", Needs::kNumber},
    Keyword{"maximum", Needs::kNumber},
    Keyword{"exclusiveMinimum", Needs::kNumber},
    Keyword{"exclusiveMaximum", Needs::kNumber},
    Keyword{"multipleOf", Needs::kNumber},
};

constexpr std::array<std::string_view, 23> kAnnotations = {"$anchor",
                                                           "$def",
                                                           "$comment",
                                                           "$defs",
                                                           "$id",
                                                           "$schema",
                                                           "default",
                                                           "definitions",
                                                           "deprecated",
                                                           "description",
                                                           "discriminator",
                                                           "example",
                                                           "examples",
                                                           "externalDocs",
                                                           "id",
                                                           "readOnly",
                                                           "strict",
                                                           "title",
                                                           "writeOnly",
                                                           "xml",
                                                           "contentEncoding",
                                                           "contentMediaType",
                                                           "contentSchema"};

constexpr std::array<std::string_view, 7> kTypes = {"array",  "boolean", "integer", "null",
                                                    "number", "object",  "string"};

bool is_type(const SchemaJson& value) {
  return value.is_string() &&
         std::count(kTypes.begin(), kTypes.end(), value.get<std::string>()) > 0;
}
bool is_schema(const SchemaJson& value) {
  return value.is_object() || value.is_boolean();
}
bool is_count(const SchemaJson& value) {
  if (!value.is_number()) return false;
  const double count = value.get<double>();
  return count >= 0 && count == std::floor(count);  // some generators write 10.0
}
bool is_text(const SchemaJson& value) {
  return value.is_string();
}
template <typename Test>
bool all(const SchemaJson& value, Test test) {
  return std::all_of(value.begin(), value.end(), test);
}

// What was expected, or nothing if the value is that.
std::string_view complaint(const SchemaJson& value, Needs needs) {
  switch (needs) {
    case Needs::kSchema:
      return is_schema(value) ? "" : "a schema";
    case Needs::kSchemas:
      return value.is_array() && !value.empty() && all(value, is_schema) ? "" : "a list of schemas";
    case Needs::kNamedSchemas:
      return value.is_object() && all(value, is_schema) ? "" : "an object of schemas";
    case Needs::kItems:
      return is_schema(value) || (value.is_array() && all(value, is_schema))
                 ? ""
                 : "a schema or a list of schemas";
    case Needs::kText:
      return is_text(value) ? "" : "a string";
    case Needs::kTexts:
      return value.is_array() && all(value, is_text) ? "" : "a list of strings";
    case Needs::kCount:
      return is_count(value) ? "" : "a whole number that is not negative";
    case Needs::kNumber:
      return value.is_number() ? "" : "a number";
    case Needs::kFlag:
      return value.is_boolean() ? "" : "true or false";
    case Needs::kList:
      return value.is_array() && !value.empty() ? "" : "a list of at least one value";
    case Needs::kType:
      return is_type(value) || (value.is_array() && !value.empty() && all(value, is_type))
                 ? ""
                 : "one or more of array, boolean, integer, null, number, object, string";
    case Needs::kAnything:
      break;
  }
  return "";
}

// A short form of the value for messages.
std::string shown(const SchemaJson& value) {
  std::string text = value.dump(-1, ' ', true);
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  return text;
}

std::string unescaped(std::string step) {
  for (size_t at = 0; (at = step.find('%', at)) != std::string::npos; ++at) {
    const std::string digits = step.substr(at + 1, 2);
    if (digits.size() < 2 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      continue;
    }
    step.replace(at, 3, 1, static_cast<char>(std::stoi(digits, nullptr, 16)));
  }
  for (size_t at = 0; (at = step.find('~', at)) != std::string::npos; ++at) {
    const char kind = at + 1 < step.size() ? step[at + 1] : ' ';
    if (kind == '0' || kind == '1') step.replace(at, 2, 1, kind == '0' ? '~' : '/');
  }
  return step;
}

}  // namespace

Error schema_error(const std::string& path, const std::string& message, ErrorCode code) {
  return {code, path + ": " + message, path};
}

std::string schema_path(const std::string& path, std::string_view step) {
  std::string result = path + "/";
  for (const char c : step) {
    if (c == '~' || c == '/') {
      result += c == '~' ? "~0" : "~1";
    } else {
      result += c;
    }
  }
  return result;
}

std::string schema_path(const std::string& path, size_t index) {
  return path + "/" + std::to_string(index);
}

bool is_annotation(std::string_view keyword) {
  return keyword.starts_with("x-") ||
         std::find(kAnnotations.begin(), kAnnotations.end(), keyword) != kAnnotations.end();
}

uint64_t json_weight(const SchemaJson& value) {
  if (value.is_string()) return 1 + value.get_ref<const std::string&>().size() / 64;
  uint64_t weight = 1;
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      weight += 1 + name.size() / 64 + json_weight(member);
    }
  } else if (value.is_array()) {
    for (const SchemaJson& item : value) weight += json_weight(item);
  }
  return weight;
}

Result<SchemaDocument> SchemaDocument::parse(std::string_view text, WorkBudget& budget) {
  if (text.size() > kMaxSchemaBytes) {
    return Error{ErrorCode::kResourceExhausted,
                 "#: expected a schema of at most " + std::to_string(kMaxSchemaBytes) +
                     " bytes, got " + std::to_string(text.size()),
                 "#"};
  }
  if (json_nesting(text) > kMaxSourceDepth) {
    return Error{ErrorCode::kResourceExhausted,
                 "#: expected a schema nested at most " + std::to_string(kMaxSourceDepth) + " deep",
                 "#"};
  }
  // Each key of an object is compared with those before it.
  if (!budget.spend(text.size() / 16 + json_key_pairs(text) / 16, text.size() * 8)) {
    return schema_error("#", budget.error().message, budget.error().code);
  }
  SchemaDocument document(budget);
  try {
    document.root_ = SchemaJson::parse(text);
  } catch (const nlohmann::json::exception& problem) {
    return schema_error("#", std::string("expected JSON, got ") + problem.what());
  }
  if (!is_schema(document.root_)) {
    return schema_error(
        "#", "expected a schema, which is an object, true or false, got " + shown(document.root_));
  }
  return document;
}

Result<const SchemaJson*> SchemaDocument::resolve(const std::string& reference,
                                                  const std::string& path) const {
  if (reference != "#" && !reference.starts_with("#/")) {
    return schema_error(
        path, "expected a reference within the schema, as #/$defs/name, got " + shown(reference),
        ErrorCode::kUnsupported);
  }
  const SchemaJson* at = &root_;
  for (size_t begin = 2; begin <= reference.size();) {
    const size_t end = std::min(reference.find('/', begin), reference.size());
    const std::string step = unescaped(reference.substr(begin, end - begin));
    const SchemaJson* next = nullptr;
    if (!budget_->spend(1 + at->size() / 16)) {
      return schema_error(path, budget_->error().message, budget_->error().code);
    }
    if (at->is_object()) {
      const auto found = at->find(step);
      if (found != at->end()) next = &*found;
    } else if (at->is_array() && !step.empty() && step.size() < 7 &&
               step.find_first_not_of("0123456789") == std::string::npos) {
      const auto index = static_cast<size_t>(std::stoul(step));
      if (index < at->size()) next = &(*at)[index];
    }
    if (next == nullptr)
      return schema_error(path, "expected a schema at " + shown(reference) + ", got nothing");
    at = next;
    begin = end + 1;
  }
  if (!is_schema(*at)) {
    return schema_error(path, "expected a schema at " + shown(reference) + ", got " + shown(*at));
  }
  return at;
}

bool is_keyword(std::string_view name) {
  return std::any_of(kKeywords.begin(), kKeywords.end(),
                     [&](const Keyword& keyword) { return keyword.name == name; });
}

Status check_keywords(const SchemaJson& schema, const std::string& path) {
  for (const auto& [name, value] : schema.items()) {
    const std::string key = name;
    if (is_annotation(key)) continue;
    const auto known = std::find_if(kKeywords.begin(), kKeywords.end(),
                                    [&](const Keyword& keyword) { return keyword.name == key; });
    if (known == kKeywords.end()) {
      return schema_error(schema_path(path, key),
                          "expected a keyword that structured output supports, got " + shown(key),
                          ErrorCode::kUnsupported);
    }
    const std::string_view expected = complaint(value, known->needs);
    if (!expected.empty()) {
      return schema_error(schema_path(path, key),
                          "expected " + std::string(expected) + ", got " + shown(value));
    }
  }
  return {};
}

}  // namespace fathom::grammar
