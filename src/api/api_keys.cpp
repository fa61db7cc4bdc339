#include "api/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace fathom::api {
namespace {

constexpr size_t kMinKeyBytes = 16;
constexpr size_t kMaxKeyBytes = 512;
constexpr size_t kMaxKeys = 10'000;
constexpr size_t kMaxFileBytes = 8 << 20;
constexpr std::string_view kHashed = "sha256:";

std::string_view without_line_end(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  return line;
}

bool parse_hash(std::string_view digits, KeyHash& hash) {
  if (digits.size() != 2 * hash.size()) return false;
  const auto value = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  for (size_t i = 0; i < hash.size(); ++i) {
    const int high = value(digits[2 * i]);
    const int low = value(digits[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    hash[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return true;
}

bool is_sound_key(std::string_view key) {
  return key.size() >= kMinKeyBytes && key.size() <= kMaxKeyBytes &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

Result<KeyHash> parse_line(std::string_view line, size_t number) {
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  KeyHash hash = {};
  if (word.starts_with(kHashed)) {
    if (parse_hash(word.substr(kHashed.size()), hash)) return hash;
    return invalid_argument(
        fmt::format("line {}: expected sha256: and 64 hexadecimal digits, got others", number));
  }
  if (word.find('#') != word.npos) {
    return invalid_argument(fmt::format(
        "line {}: expected a space between a key and its comment, got '#' within the key", number));
  }
  if (is_sound_key(word)) return hash_key(word);
  return invalid_argument(
      fmt::format("line {}: expected a key of {} to {} printable characters, got {} bytes", number,
                  kMinKeyBytes, kMaxKeyBytes, word.size()));
}

}  // namespace

KeyHash hash_key(std::string_view key) {
  KeyHash hash = {};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), hash.data());
  return hash;
}

Result<std::vector<KeyHash>> parse_keys(std::string_view text) {
  std::vector<KeyHash> hashes;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::string_view content = without_line_end(line);
    if (content.empty() || content.front() == '#') continue;
    FATHOM_ASSIGN(const KeyHash hash, parse_line(content, number));
    hashes.push_back(hash);
    if (hashes.size() > kMaxKeys) {
      return invalid_argument(fmt::format("expected at most {} keys, got more", kMaxKeys));
    }
  }
  if (hashes.empty()) return invalid_argument("expected one key a line, got none");
  return hashes;
}

Result<std::shared_ptr<ApiKeys>> ApiKeys::load(std::filesystem::path file) {
  std::shared_ptr<ApiKeys> keys(new ApiKeys(std::move(file)));
  FATHOM_TRY(keys->reload());
  return keys;
}

Status ApiKeys::reload() {
  std::ifstream stream(file_, std::ios::binary);
  std::string text(kMaxFileBytes + 1, '\0');
  if (!stream) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{}: expected a file of API keys, it cannot be read", file_.string())};
  }
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kMaxFileBytes) {
    return invalid_argument(
        fmt::format("{}: expected at most {} bytes, got more", file_.string(), kMaxFileBytes));
  }
  auto hashes = parse_keys(text);
  if (!hashes) return hashes.error().with_context(file_.string());
  auto shared = std::make_shared<const std::vector<KeyHash>>(std::move(*hashes));
  const std::scoped_lock lock(mutex_);
  hashes_ = std::move(shared);
  return {};
}

bool ApiKeys::accepts(std::string_view key) const {
  std::shared_ptr<const std::vector<KeyHash>> hashes;
  {
    const std::scoped_lock lock(mutex_);
    hashes = hashes_;
  }
  const KeyHash given = hash_key(key);
  int found = 0;
  for (const KeyHash& hash : *hashes) {
    found |= CRYPTO_memcmp(given.data(), hash.data(), hash.size()) == 0 ? 1 : 0;
  }
  return found != 0;
}

size_t ApiKeys::size() const {
  const std::scoped_lock lock(mutex_);
  return hashes_->size();
}

}  // namespace fathom::api
