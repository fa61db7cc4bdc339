// Reads the fields of one object of config.json and notes which were asked for, so that what nobody
// asked for can be refused instead of ignored.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom::models::deepseek_v3 {

// "FIELD: expected EXPECTED, got GOT" as kUnsupported; a long value is cut.
Error unsupported_field(const std::string& field, const std::string& expected,
                        const nlohmann::json& got);

bool is_integer_in(const nlohmann::json& value, int64_t low, int64_t high);

// The first wrong field is kept as the error. A field that is null counts as absent.
class FieldReader {
 public:
  // `prefix` goes in front of names in errors: "rope_scaling.".
  FieldReader(const nlohmann::json& object, std::string prefix)
      : object_(object), prefix_(std::move(prefix)) {}

  const nlohmann::json* get(std::string_view name);
  bool has(std::string_view name) { return get(name) != nullptr; }
  // Whether the field is there and null, where that is more than absent.
  bool is_null(std::string_view name) const;

  template <typename Int>
  void integer(const char* name, int64_t low, int64_t high, Int& out, bool required = false) {
    if (const auto number = integer_in(name, low, high, required)) out = static_cast<Int>(*number);
  }
  template <typename Float>
  void number(const char* name, double low, double high, Float& out, bool required = false) {
    if (const auto found = number_in(name, low, high, required)) out = static_cast<Float>(*found);
  }
  void boolean(const char* name, bool& out);
  // The text of a field, or `fallback`; a value that is no text fails.
  std::string text(const char* name, std::string fallback);
  // Refuses any other value. An absent field is right.
  void only(const char* name, const nlohmann::json& value);

  // These fields change nothing here.
  void ignore(std::initializer_list<std::string_view> names);
  // Refuses the fields that nobody asked for, but for those that `harmless` knows.
  void refuse_others(bool (*harmless)(std::string_view name));

  void fail(const char* name, const std::string& expected, const nlohmann::json& got);
  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  std::optional<int64_t> integer_in(const char* name, int64_t low, int64_t high, bool required);
  std::optional<double> number_in(const char* name, double low, double high, bool required);

  const nlohmann::json& object_;
  std::string prefix_;
  std::set<std::string, std::less<>> asked_;
  std::optional<Error> error_;
};

// Fields of config.json, at its top, that say nothing of what a forward pass computes: where the
// model comes from, how it was trained, how text is drawn from it by others.
bool is_harmless_field(std::string_view name);

}  // namespace fathom::models::deepseek_v3
