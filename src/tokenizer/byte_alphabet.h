// The byte-level alphabet of GPT-2 (Radford et al. 2019, encoder.py of the release), in which
// tokenizer.json writes its tokens: every byte is one printable character. Bytes 21..7E, A1..AC and
// AE..FF stand for themselves; the other 68, in rising order, are U+0100 and up (space is U+0120).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace fathom::tokenizer {

// The character (UTF-8) that stands for each byte.
const std::array<std::string, 256>& byte_alphabet();

// The bytes that `written` stands for, or nothing if it has a character outside the alphabet.
// `written` must be well-formed UTF-8.
std::optional<std::string> bytes_from_alphabet(std::string_view written);

}  // namespace fathom::tokenizer
