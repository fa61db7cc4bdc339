// The keys that requests may carry, from a file: one engine's own check, without tenants.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fathom::api {

// SHA-256 of a key (FIPS 180-4).
using KeyHash = std::array<unsigned char, 32>;
KeyHash hash_key(std::string_view key);

// One key a line: as it is (16 printable characters or more), or "sha256:" and its hash in 64
// hexadecimal digits. What follows it after a space names it; empty lines and those that begin with
// '#' say nothing. A '#' within a key is refused: it is a comment that lacks its space. Errors name
// the line, never the key.
Result<std::vector<KeyHash>> parse_keys(std::string_view text);

// A file of keys. Only hashes are kept. Thread-safe.
class ApiKeys {
 public:
  static Result<std::shared_ptr<ApiKeys>> load(std::filesystem::path file);

  // Reads the file again; if it is bad, the keys stay as they were.
  Status reload();

  // Takes the same time for every key of one length, whether it is known or not.
  bool accepts(std::string_view key) const;
  size_t size() const;

 private:
  explicit ApiKeys(std::filesystem::path file) : file_(std::move(file)) {}

  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  std::shared_ptr<const std::vector<KeyHash>> hashes_;
};

}  // namespace fathom::api
