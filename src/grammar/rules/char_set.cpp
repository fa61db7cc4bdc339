#include "grammar/rules/char_set.h"

#include <algorithm>

namespace fathom::grammar {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr char32_t kFirstSurrogate = 0xD800;
constexpr char32_t kLastSurrogate = 0xDFFF;

// The greatest code point spelled in 1, 2, 3 and 4 bytes.
constexpr std::array<char32_t, 4> kGreatest = {0x7F, 0x7FF, 0xFFFF, kLast};

struct Encoded {
  std::array<uint8_t, 4> bytes;
  uint8_t length;
};

Encoded encode(char32_t code) {
  const auto tail = [code](int shift) {
    return static_cast<uint8_t>(0x80 | (code >> shift & 0x3F));
  };
  if (code <= 0x7F) return {{static_cast<uint8_t>(code)}, 1};
  if (code <= 0x7FF) return {{static_cast<uint8_t>(0xC0 | code >> 6), tail(0)}, 2};
  if (code <= 0xFFFF) return {{static_cast<uint8_t>(0xE0 | code >> 12), tail(6), tail(0)}, 3};
  return {{static_cast<uint8_t>(0xF0 | code >> 18), tail(12), tail(6), tail(0)}, 4};
}

// Splits [first, last], whose ends have the same length in UTF-8, until each part is a product of
// byte ranges: all bytes behind the first that differs must run over the whole of 80..BF.
void split(char32_t first, char32_t last, int length, std::vector<Utf8Sequence>& out) {
  for (int tail = 1; tail < length; ++tail) {
    const char32_t mask = (char32_t{1} << (6 * tail)) - 1;
    if ((first & ~mask) == (last & ~mask)) continue;
    if ((first & mask) != 0) {
      split(first, first | mask, length, out);
      split((first | mask) + 1, last, length, out);
      return;
    }
    if ((last & mask) != mask) {
      split(first, (last & ~mask) - 1, length, out);
      split(last & ~mask, last, length, out);
      return;
    }
  }
  const Encoded low = encode(first);
  const Encoded high = encode(last);
  Utf8Sequence sequence{{}, low.length};
  for (int i = 0; i < length; ++i) sequence.bytes[i] = {low.bytes[i], high.bytes[i]};
  out.push_back(sequence);
}

}  // namespace

CharSet::CharSet(std::initializer_list<CharRange> ranges) {
  for (const CharRange& range : ranges) add(range.first, range.last);
}

CharSet::CharSet(std::vector<CharRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CharRange& a, const CharRange& b) { return a.first < b.first; });
  // Joined first, so that each add() below appends.
  CharRange open = {1, 0};
  for (const CharRange& range : ranges) {
    if (range.first > range.last) continue;
    if (open.first <= open.last && range.first <= open.last + 1) {
      open.last = std::max(open.last, range.last);
      continue;
    }
    append(open);
    open = range;
  }
  append(open);
}

// A range behind all others.
void CharSet::append(CharRange range) {
  range.last = std::min(range.last, kLast);
  const CharRange before = {range.first, std::min<char32_t>(range.last, kFirstSurrogate - 1)};
  const CharRange behind = {std::max<char32_t>(range.first, kLastSurrogate + 1), range.last};
  for (const CharRange& part : {before, behind}) {
    if (part.first <= part.last) ranges_.push_back(part);
  }
}

CharSet CharSet::all() {
  return {{0, kLast}};
}

void CharSet::add(char32_t first, char32_t last) {
  last = std::min(last, kLast);
  if (first > last) return;
  if (first <= kLastSurrogate && last >= kFirstSurrogate) {
    if (first < kFirstSurrogate) add(first, kFirstSurrogate - 1);
    if (last > kLastSurrogate) add(kLastSurrogate + 1, last);
    return;
  }
  auto begin = std::find_if(ranges_.begin(), ranges_.end(),
                            [first](const CharRange& range) { return range.last + 1 >= first; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= last + 1; ++end) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
  }
  ranges_.insert(ranges_.erase(begin, end), {first, last});
}

void CharSet::add(const CharSet& other) {
  for (const CharRange& range : other.ranges_) add(range.first, range.last);
}

CharSet CharSet::complement() const {
  CharSet result;
  char32_t next = 0;
  for (const CharRange& range : ranges_) {
    if (range.first > next) result.append({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLast) result.append({next, kLast});
  return result;
}

CharSet CharSet::intersect(const CharSet& other) const {
  CharSet result;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const char32_t first = std::max(a->first, b->first);
    const char32_t last = std::min(a->last, b->last);
    if (first <= last) result.ranges_.push_back({first, last});
    a->last < b->last ? ++a : ++b;
  }
  return result;
}

bool CharSet::contains(char32_t code) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [code](const CharRange& range) {
    return range.first <= code && code <= range.last;
  });
}

std::vector<Utf8Sequence> utf8_sequences(const CharSet& set) {
  std::vector<Utf8Sequence> out;
  for (const CharRange& range : set.ranges()) {
    char32_t first = range.first;
    for (int length = 1; length <= 4 && first <= range.last; ++length) {
      const char32_t last = std::min(range.last, kGreatest[length - 1]);
      if (first > last) continue;
      split(first, last, length, out);
      first = last + 1;
    }
  }
  return out;
}

void append_utf8(char32_t code, std::string& out) {
  const Encoded encoded = encode(code);
  for (int i = 0; i < encoded.length; ++i) out += static_cast<char>(encoded.bytes[i]);
}

DecodedChar decode_utf8(std::string_view text) {
  if (text.empty()) return {0, 0};
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 0 || lead > 0xF4 || text.size() < length) return {0, 0};
  if (length == 1) return {lead, 1};
  char32_t code = lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {0, 0};
    code = code << 6 | (byte(i) & 0x3F);
  }
  const bool shortest = code > kGreatest[length - 2];
  const bool surrogate = code >= kFirstSurrogate && code <= kLastSurrogate;
  if (!shortest || surrogate || code > kLast) return {0, 0};
  return {code, length};
}

}  // namespace fathom::grammar
