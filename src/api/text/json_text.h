// JSON in and out of HTTP bodies: bounded parsing that names the position of what is wrong, and
// dumping that cannot fail.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom::api {

using Json = nlohmann::ordered_json;  // templates see the keys of tools in the client's order

struct JsonLimits {
  size_t max_depth = 64;          // arrays and objects within each other
  size_t max_values = 2'000'000;  // a value takes 16 bytes or more, whatever it takes in the text
  size_t max_keys = 4096;         // of one object; a look-up among ordered keys is linear, so
  size_t max_key_pairs = 40'000'000;  // the squares of the key counts, added up, are bounded too
};

// Refuses (kInvalidArgument) what is no JSON by RFC 8259, strings that are no UTF-8, and what is
// over the limits. Of a key given twice the last value counts.
Result<Json> parse_json(std::string_view text, JsonLimits limits = {});

// Ill-formed UTF-8 in strings becomes U+FFFD; never throws.
std::string dump_json(const Json& value);

// Appends an object to a text member by member, so that what is large need never be a tree.
class ObjectText {
 public:
  explicit ObjectText(std::string& out) : out_(out) { out_ += '{'; }
  // All members of an object.
  void add(const Json& members);
  // The name of a member whose value the caller appends.
  void name(std::string_view name);
  void end() { out_ += '}'; }

 private:
  void separate();

  std::string& out_;
  bool first_ = true;
};

// "a string", "a number", ...: what a value is, for messages.
const char* json_type_name(const Json& value);

// The value as it would be shown in a message: at most some 40 bytes of it.
std::string json_excerpt(const Json& value);

// The first `max_bytes` of `text` or a little less, cut between characters, with "..." where cut.
std::string shorten(std::string_view text, size_t max_bytes);
// The same with a question mark for what is not printable ASCII: for a header, or a line of the
// log.
std::string printable(std::string_view text, size_t max_bytes);

}  // namespace fathom::api
