#include "cli/chat/keys.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "cli/chat/characters.h"

namespace fathom::cli {
namespace {

constexpr char kEscape = '\x1b';
constexpr char kCtrlC = '\x03';
constexpr std::string_view kPasteEnd = "\x1b[201~";

std::optional<KeyKind> control_key(char c) {
  switch (c) {
    case 1:  // Ctrl-A, and so on
      return KeyKind::kHome;
    case 2:
      return KeyKind::kLeft;
    case kCtrlC:
      return KeyKind::kInterrupt;
    case 4:
      return KeyKind::kDeleteOrFinish;
    case 5:
      return KeyKind::kEnd;
    case 6:
      return KeyKind::kRight;
    case 8:
    case 127:
      return KeyKind::kBackspace;
    case '\n':
    case '\r':
      return KeyKind::kEnter;
    case 11:
      return KeyKind::kKillToEnd;
    case 12:
      return KeyKind::kClearScreen;
    case 14:
      return KeyKind::kNext;
    case 16:
      return KeyKind::kPrevious;
    case 21:
      return KeyKind::kKillToHome;
    case 23:
      return KeyKind::kKillWord;
    case 25:
      return KeyKind::kYank;
    case 26:
      return KeyKind::kSuspend;
    default:
      return std::nullopt;
  }
}

// With Alt: ESC before the key.
std::optional<KeyKind> alt_key(char c) {
  switch (c) {
    case '\n':
    case '\r':
      return KeyKind::kLineBreak;
    case 'b':
      return KeyKind::kWordLeft;
    case 'f':
      return KeyKind::kWordRight;
    case 'd':
      return KeyKind::kKillWordRight;
    case 8:
    case 127:
      return KeyKind::kKillWord;
    default:
      return std::nullopt;
  }
}

// `modified`: with Ctrl or Alt.
std::optional<KeyKind> arrow_key(char final, bool modified) {
  switch (final) {
    case 'A':
      return KeyKind::kUp;
    case 'B':
      return KeyKind::kDown;
    case 'C':
      return modified ? KeyKind::kWordRight : KeyKind::kRight;
    case 'D':
      return modified ? KeyKind::kWordLeft : KeyKind::kLeft;
    case 'F':
      return KeyKind::kEnd;
    case 'H':
      return KeyKind::kHome;
    case 'M':  // of the number pad
      return KeyKind::kEnter;
    default:
      return std::nullopt;
  }
}

// `ESC [ parameters final`.
std::optional<KeyKind> csi_key(std::string_view parameters, char final) {
  if (final == 'u') {  // keys with a modifier, which have no traditional sequence
    return parameters.starts_with("13;") ? std::optional(KeyKind::kLineBreak) : std::nullopt;
  }
  if (final != '~') {
    const bool modified = parameters.ends_with(";3") || parameters.ends_with(";5");
    return final == 'M' ? std::nullopt : arrow_key(final, modified);
  }
  if (parameters.starts_with("27;") && parameters.ends_with(";13")) return KeyKind::kLineBreak;
  const std::string_view number = parameters.substr(0, parameters.find(';'));
  if (number == "1" || number == "7") return KeyKind::kHome;
  if (number == "4" || number == "8") return KeyKind::kEnd;
  if (number == "3") return KeyKind::kDelete;
  return std::nullopt;
}

// Terminals send a carriage return for each line break of what is pasted.
std::u32string pasted_text(std::string_view bytes) {
  std::string lines;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != '\r') {
      lines += bytes[i];
    } else if (i + 1 == bytes.size() || bytes[i + 1] != '\n') {
      lines += '\n';
    }
  }
  return decode_text(lines);
}

bool is_text_byte(char c) {
  return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 127);
}

}  // namespace

std::optional<Key> KeyParser::next() {
  while (at_ < input_.size()) {
    Key key{};
    const Found found = in_paste_ ? take_paste(key) : take_one(key);
    if (found == Found::kKey) return key;
    if (found == Found::kIncomplete) break;
  }
  input_.erase(0, at_);
  at_ = 0;
  return std::nullopt;
}

void KeyParser::clear() {
  *this = KeyParser();
}

KeyParser::Found KeyParser::take_one(Key& key) {
  if (input_[at_] == kEscape) return take_escape(key);
  return is_text_byte(input_[at_]) ? take_text(key) : take_control(key);
}

// Ctrl-C ends a paste that never ends.
KeyParser::Found KeyParser::take_paste(Key& key) {
  const std::string_view bytes = rest();
  const size_t end = std::min(bytes.find(kPasteEnd), bytes.find(kCtrlC));
  if (end == std::string_view::npos) {
    const size_t whole = bytes.size() - std::min(bytes.size(), kPasteEnd.size() - 1);
    paste_ += bytes.substr(0, whole);
    at_ += whole;
    return Found::kIncomplete;
  }
  paste_ += bytes.substr(0, end);
  in_paste_ = false;
  const std::string whole = std::exchange(paste_, {});
  if (bytes[end] == kCtrlC) {
    at_ += end;
    return Found::kNothing;
  }
  at_ += end + kPasteEnd.size();
  key = {KeyKind::kPaste, pasted_text(whole)};
  return Found::kKey;
}

KeyParser::Found KeyParser::take_text(Key& key) {
  const std::string_view bytes = rest();
  const auto* end = std::find_if_not(bytes.begin(), bytes.end(), is_text_byte);
  std::string arrived(bytes.begin(), end);
  std::string text;
  take_whole_characters(arrived, text);
  if (end != bytes.end()) {  // a character that is cut off and not gone on with
    text += replace_invalid_utf8(arrived);
    arrived.clear();
  }
  if (text.empty()) return Found::kIncomplete;
  at_ += static_cast<size_t>(end - bytes.begin()) - arrived.size();
  key = {KeyKind::kText, decode_text(text)};
  return Found::kKey;
}

KeyParser::Found KeyParser::take_control(Key& key) {
  const auto kind = control_key(input_[at_++]);
  if (!kind) return Found::kNothing;
  key = {*kind};
  return Found::kKey;
}

KeyParser::Found KeyParser::take_escape(Key& key) {
  const std::string_view bytes = rest();
  if (bytes.size() < 2) return Found::kIncomplete;
  if (bytes[1] == '[') return take_csi(key);
  const bool is_ascii = static_cast<unsigned char>(bytes[1]) < 0x80;
  if (bytes[1] == kEscape || bytes[1] == kCtrlC || !is_ascii) {  // Escape, and then another key
    ++at_;
    return Found::kNothing;
  }
  std::optional<KeyKind> kind;
  if (bytes[1] == 'O') {
    if (bytes.size() < 3) return Found::kIncomplete;
    kind = arrow_key(bytes[2], false);
    at_ += 3;
  } else {
    kind = alt_key(bytes[1]);
    at_ += 2;
  }
  if (!kind) return Found::kNothing;
  key = {*kind};
  return Found::kKey;
}

KeyParser::Found KeyParser::take_csi(Key& key) {
  const std::string_view bytes = rest();
  const auto is_parameter = [](char c) { return c >= ' ' && c < '@'; };
  const auto* final = std::find_if_not(bytes.begin() + 2, bytes.end(), is_parameter);
  if (final == bytes.end()) return Found::kIncomplete;
  const std::string_view parameters(bytes.begin() + 2, final);
  at_ += static_cast<size_t>(final - bytes.begin());
  if (*final < '@' || *final == 127) return Found::kNothing;  // broken off: another key begins
  ++at_;
  if (*final == '~' && parameters == "200") {
    in_paste_ = true;
    return Found::kNothing;
  }
  const auto kind = csi_key(parameters, *final);
  if (!kind) return Found::kNothing;
  key = {*kind};
  return Found::kKey;
}

}  // namespace fathom::cli
