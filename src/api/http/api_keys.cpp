#include "api/http/api_keys.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <set>

#include "api/text/json_text.h"
#include "base/utf8.h"

namespace fathom::api {
namespace {

constexpr size_t kMinKeyBytes = 16;
constexpr size_t kMaxKeyBytes = 512;
constexpr size_t kMaxKeys = 10'000;
constexpr size_t kMaxShownNameBytes = 100;
constexpr size_t kMaxFileBytes = 8 << 20;
constexpr std::string_view kHashed = "sha256:";
constexpr std::string_view kPriority = "priority=";

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

// Takes the next word off the front of `line`; empty at its end.
std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t";
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

Result<KeyHash> parse_key(std::string_view word, size_t number) {
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

Result<int32_t> parse_priority(std::string_view option, size_t number) {
  int32_t priority = 0;
  const char* end = option.data() + option.size();
  const bool known = option.starts_with(kPriority);
  if (known) option.remove_prefix(kPriority.size());
  const auto [stop, failure] = std::from_chars(option.data(), end, priority);
  if (known && failure == std::errc{} && stop == end && priority <= 0) return priority;
  return invalid_argument(fmt::format(
      "line {}: expected behind the key a name and priority=N with N of 0 or less, got an option "
      "that is none of these",
      number));
}

// Owners are identified by a hash: names may be of any length, and none can equal a key.
std::string owner_of(std::string_view kind, std::string_view what) {
  constexpr size_t kBytes = 16;
  const KeyHash hash = hash_key(fmt::format("{} {}", kind, what));
  std::string digits;
  for (size_t i = 0; i < kBytes; ++i) digits += fmt::format("{:02x}", hash[i]);
  return digits;
}

Result<ApiKey> parse_line(std::string_view line, size_t number) {
  ApiKey key;
  FATHOM_ASSIGN(key.hash, parse_key(take_word(line), number));
  std::string name;
  for (auto word = take_word(line); !word.empty() && word.front() != '#'; word = take_word(line)) {
    if (word.find('=') != word.npos) {
      FATHOM_ASSIGN(key.caller.lowest_priority, parse_priority(word, number));
      continue;
    }
    if (!name.empty()) name += ' ';
    name += word;
  }
  const std::string_view hash(reinterpret_cast<const char*>(key.hash.data()), key.hash.size());
  Caller& caller = key.caller;
  caller.owner = name.empty() ? owner_of("key", hash) : owner_of("name", name);
  caller.name = name.empty() ? "key-" + caller.owner.substr(0, 8)
                             : shorten(replace_invalid_utf8(name), kMaxShownNameBytes);
  return key;
}

}  // namespace

KeyHash hash_key(std::string_view key) {
  KeyHash hash = {};
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), hash.data());
  return hash;
}

Result<std::vector<ApiKey>> parse_keys(std::string_view text) {
  std::vector<ApiKey> keys;
  std::set<KeyHash> seen;
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::string_view content = without_line_end(line);
    if (content.empty() || content.front() == '#') continue;
    FATHOM_ASSIGN(ApiKey key, parse_line(content, number));
    if (!seen.insert(key.hash).second) {
      return invalid_argument(
          fmt::format("line {}: expected each key once, got one a second time", number));
    }
    keys.push_back(std::move(key));
    if (keys.size() > kMaxKeys) {
      return invalid_argument(fmt::format("expected at most {} keys, got more", kMaxKeys));
    }
  }
  if (keys.empty()) return invalid_argument("expected one key a line, got none");
  return keys;
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
  auto keys = parse_keys(text);
  if (!keys) return keys.error().with_context(file_.string());
  auto shared = std::make_shared<const std::vector<ApiKey>>(std::move(*keys));
  const std::scoped_lock lock(mutex_);
  keys_ = std::move(shared);
  return {};
}

std::optional<Caller> ApiKeys::find(std::string_view key) const {
  std::shared_ptr<const std::vector<ApiKey>> keys;
  {
    const std::scoped_lock lock(mutex_);
    keys = keys_;
  }
  const KeyHash given = hash_key(key);
  size_t found = keys->size();
  for (size_t i = 0; i < keys->size(); ++i) {
    const KeyHash& hash = (*keys)[i].hash;
    found = CRYPTO_memcmp(given.data(), hash.data(), hash.size()) == 0 ? i : found;
  }
  return found < keys->size() ? std::optional((*keys)[found].caller) : std::nullopt;
}

size_t ApiKeys::size() const {
  const std::scoped_lock lock(mutex_);
  return keys_->size();
}

}  // namespace fathom::api
