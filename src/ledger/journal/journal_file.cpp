#include "ledger/journal/journal_file.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace fathom::ledger {

namespace {

constexpr std::string_view kMark = "FLJ1";
constexpr size_t kLengthBytes = 4;
constexpr size_t kSumBytes = 16;
constexpr size_t kHeadBytes = kMark.size() + kLengthBytes + kSumBytes;
constexpr size_t kMaxText = 1024;

std::string length_bytes(size_t length) {
  std::string bytes;
  for (size_t i = 0; i < kLengthBytes; ++i) bytes += static_cast<char>(length >> 8 * i & 0xFF);
  return bytes;
}

size_t length_at(std::string_view bytes) {
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<size_t>(static_cast<unsigned char>(bytes[i])) << 8 * i;
  }
  return length;
}

std::string sum_of(std::string_view length, std::string_view text) {
  const std::string summed = std::string(length) + std::string(text);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(summed.data()), summed.size(), hash.data());
  return {reinterpret_cast<const char*>(hash.data()), kSumBytes};
}

bool take_number(std::string_view& text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return !text.empty() && text.front() == ' ' && (text.remove_prefix(1), true);
}

// "CACHED PROMPT COMPLETION ID"
std::optional<Settlement> parse(std::string_view text) {
  Settlement parsed;
  if (!take_number(text, parsed.used.cached) || !take_number(text, parsed.used.prompt) ||
      !take_number(text, parsed.used.completion)) {
    return std::nullopt;
  }
  parsed.request = text;
  return parsed;
}

// The settlement that begins at the front of `bytes`, and its size there.
std::optional<std::pair<Settlement, size_t>> first_of(std::string_view bytes) {
  if (bytes.size() < kHeadBytes || !bytes.starts_with(kMark)) return std::nullopt;
  const std::string_view length = bytes.substr(kMark.size(), kLengthBytes);
  const size_t size = length_at(length);
  if (size > kMaxText || size > bytes.size() - kHeadBytes) return std::nullopt;
  const std::string_view text = bytes.substr(kHeadBytes, size);
  if (bytes.substr(kMark.size() + kLengthBytes, kSumBytes) != sum_of(length, text)) {
    return std::nullopt;
  }
  auto parsed = parse(text);
  if (!parsed) return std::nullopt;
  return std::make_pair(std::move(*parsed), kHeadBytes + size);
}

}  // namespace

std::string encode(const Settlement& settlement) {
  const Tokens& used = settlement.used;
  const std::string text =
      fmt::format("{} {} {} {}", used.cached, used.prompt, used.completion, settlement.request);
  const std::string length = length_bytes(text.size());
  return std::string(kMark) + length + sum_of(length, text) + text;
}

JournalContents decode(std::string_view bytes) {
  JournalContents contents;
  while (!bytes.empty()) {
    if (auto first = first_of(bytes)) {
      contents.whole.push_back(std::move(first->first));
      bytes.remove_prefix(first->second);
      continue;
    }
    const size_t next = std::min(bytes.find(kMark, 1), bytes.size());
    contents.damaged_bytes += next;
    bytes.remove_prefix(next);
  }
  return contents;
}

}  // namespace fathom::ledger
