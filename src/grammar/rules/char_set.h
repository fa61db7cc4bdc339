// Sets of Unicode scalar values, and how they are spelled in UTF-8.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::grammar {

// An inclusive range of code points.
struct CharRange {
  char32_t first;
  char32_t last;
  bool operator==(const CharRange&) const = default;
};

// Sorted ranges that neither touch nor overlap. Surrogates (U+D800 to U+DFFF) are never members:
// they have no UTF-8.
class CharSet {
 public:
  CharSet() = default;
  CharSet(std::initializer_list<CharRange> ranges);
  // Of any ranges, in any order, in time linear but for sorting them.
  explicit CharSet(std::vector<CharRange> ranges);

  static CharSet all();

  void add(char32_t first, char32_t last);
  void add(const CharSet& other);

  CharSet complement() const;
  CharSet intersect(const CharSet& other) const;
  CharSet minus(const CharSet& other) const { return intersect(other.complement()); }

  bool contains(char32_t code) const;
  bool empty() const { return ranges_.empty(); }
  const std::vector<CharRange>& ranges() const { return ranges_; }

 private:
  void append(CharRange range);

  std::vector<CharRange> ranges_;
};

// An inclusive range of bytes.
struct ByteRange {
  uint8_t first;
  uint8_t last;
  bool operator==(const ByteRange&) const = default;
};

// One to four byte ranges in a row: every string they match is the UTF-8 of a member.
struct Utf8Sequence {
  std::array<ByteRange, 4> bytes;
  uint8_t length;
};

// The sequences that together match exactly the UTF-8 of the members.
std::vector<Utf8Sequence> utf8_sequences(const CharSet& set);

// Appends the UTF-8 of `code`, a scalar value.
void append_utf8(char32_t code, std::string& out);

// The character at the front of `text` and its length; length 0 if it is not well-formed UTF-8.
struct DecodedChar {
  char32_t code;
  size_t length;
};
DecodedChar decode_utf8(std::string_view text);

}  // namespace fathom::grammar
