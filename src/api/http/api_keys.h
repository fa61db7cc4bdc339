// The keys that requests may carry, from a file, and whose they are.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/caller.h"
#include "base/result.h"

namespace fathom::api {

// SHA-256 of a key (FIPS 180-4).
using KeyHash = std::array<unsigned char, 32>;
KeyHash hash_key(std::string_view key);

// One key a line: as it is (16 printable characters or more), or "sha256:" and its hash in 64
// hexadecimal digits. Behind it, after spaces, may stand the name of its owner (keys of equal names
// have one owner, a key without a name is an owner of its own) and `priority=N`, with N of 0 or
// less: the most urgent priority that its requests may ask for. Empty lines and what follows a word
// that begins with '#' say nothing. A '#' within a key is refused: it is a comment that lacks its
// space. Errors name the line, never the key.
struct ApiKey {
  KeyHash hash = {};
  Caller caller;
};
Result<std::vector<ApiKey>> parse_keys(std::string_view text);

// A file of keys. Only hashes are kept. Thread-safe.
class ApiKeys {
 public:
  static Result<std::shared_ptr<ApiKeys>> load(std::filesystem::path file);

  // Reads the file again; if it is bad, the keys stay as they were.
  Status reload();

  // Whose key that is; nothing where it is not known. Takes the same time for every key of one
  // length, whether it is known or not.
  std::optional<Caller> find(std::string_view key) const;
  size_t size() const;

 private:
  explicit ApiKeys(std::filesystem::path file) : file_(std::move(file)) {}

  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  std::shared_ptr<const std::vector<ApiKey>> keys_;
};

}  // namespace fathom::api
