#include "net/head_scanner.h"

namespace fathom::net {

HeadScanner::Outcome HeadScanner::scan(std::string_view input) {
  for (; position_ < input.size(); ++position_) {
    const auto byte = static_cast<unsigned char>(input[position_]);
    const bool line_starts = position_ == line_begin_;
    if (byte == '\r') {
      if (position_ + 1 == input.size()) return Outcome::kIncomplete;
      if (input[position_ + 1] != '\n') return Outcome::kMalformed;
      position_ += 1;
      line_begin_ = position_ + 1;
      if (!line_starts) continue;
      const bool leading_empty_line = position_ == 1;
      if (leading_empty_line) {
        begin_ = line_begin_;
        continue;
      }
      position_ += 1;
      return line_begin_ == begin_ + 2 ? Outcome::kMalformed : Outcome::kComplete;
    }
    const bool is_blank = byte == ' ' || byte == '\t';
    if (line_starts && is_blank) return Outcome::kMalformed;
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return Outcome::kMalformed;
  }
  return Outcome::kIncomplete;
}

}  // namespace fathom::net
