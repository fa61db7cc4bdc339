#include "base/json_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace fathom {

using nlohmann::json;

namespace {

constexpr int kMaxDepth = 64;
constexpr uintmax_t kMaxFileBytes = uintmax_t{256} << 20;

}  // namespace

int json_nesting(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

uint64_t json_key_pairs(std::string_view text) {
  std::array<uint64_t, kMaxDepth + 1> keys = {};
  int depth = 0;
  uint64_t pairs = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto level = static_cast<size_t>(std::clamp(depth, 0, kMaxDepth));
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == ':') {
      pairs += keys[level]++;
    } else if (c == '{' || c == '[') {
      ++depth;
      keys[static_cast<size_t>(std::clamp(depth, 0, kMaxDepth))] = 0;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return pairs;
}

Result<json> parse_json(std::string_view text, const std::string& where) {
  if (json_nesting(text) > kMaxDepth) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("{}: expected JSON nested at most {} deep", where, kMaxDepth), where};
  }
  try {
    return json::parse(text);
  } catch (const json::exception& problem) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("{}: expected JSON, got {}", where, problem.what()), where};
  }
}

Result<json> read_json_file(const std::filesystem::path& path) {
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  if (failed) {
    return Error{ErrorCode::kNotFound, fmt::format("{}: {}", path.string(), failed.message()),
                 path.string()};
  }
  if (size > kMaxFileBytes) {
    return Error{
        ErrorCode::kDataCorrupt,
        fmt::format("{}: expected at most {} bytes, got {}", path.string(), kMaxFileBytes, size),
        path.string()};
  }
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) return Error{ErrorCode::kIo, path.string() + ": cannot be read", path.string()};
  return parse_json(text.str(), path.string());
}

}  // namespace fathom
