// Reading the fields of a JSON file that is not trusted, with errors that name the field.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom::tokenizer {

// Reads one file's fields. A "path" is a field's place, as "model.merges[3]".
class FieldReader {
 public:
  explicit FieldReader(std::string file) : file_(std::move(file)) {}

  Error corrupt(const std::string& path, const std::string& expected,
                const nlohmann::json& got) const {
    return error(ErrorCode::kDataCorrupt, path, expected, describe(got));
  }
  Error unsupported(const std::string& path, const std::string& expected,
                    const nlohmann::json& got) const {
    return error(ErrorCode::kUnsupported, path, expected, describe(got));
  }
  Error error(ErrorCode code, const std::string& path, const std::string& expected,
              const std::string& got) const;

  // object[name], or null where there is none.
  static const nlohmann::json& field(const nlohmann::json& object, const char* name);
  // Where the field is missing or null: `otherwise`. `path` is the object's, with its dot.
  Result<bool> boolean(const nlohmann::json& object, const std::string& path, const char* name,
                       bool otherwise) const;
  // Refuses a boolean field that is not `supported`, which is also what a missing field means.
  Status only(const nlohmann::json& object, const std::string& path, const char* name,
              bool supported) const;
  // Refuses an object whose "type" is not `name`; `path` is the object's.
  Status type_is(const nlohmann::json& object, const std::string& path, const char* name) const;

  // A short form of a value for a message: strings and lists are cut.
  static std::string describe(const nlohmann::json& value);

 private:
  std::string file_;
};

}  // namespace fathom::tokenizer
