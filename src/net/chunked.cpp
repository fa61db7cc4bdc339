#include "net/chunked.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace fathom::net {
namespace {

// Tab, space, printable ASCII and bytes above ASCII.
bool is_text_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

}  // namespace

ChunkedDecoder::Outcome ChunkedDecoder::feed(std::string_view& input, std::string& body) {
  while (state_ != State::kDone) {
    if (input.empty()) return Outcome::kNeedMore;
    if (state_ == State::kData) {
      const auto size =
          static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, input.size()));
      body.append(input.substr(0, size));
      input.remove_prefix(size);
      chunk_left_ -= size;
      if (chunk_left_ == 0) state_ = State::kDataEnd;
      continue;
    }
    const Outcome line = take_line(input, state_ == State::kDataEnd ? 0 : kMaxLineBytes);
    if (line != Outcome::kDone) return line;
    Outcome outcome = Outcome::kDone;
    if (state_ == State::kDataEnd)
      state_ = State::kSizeLine;
    else if (state_ == State::kSizeLine)
      outcome = take_size_line();
    else
      outcome = take_trailer_line();
    if (outcome != Outcome::kDone) return outcome;
    line_.clear();
  }
  return Outcome::kDone;
}

ChunkedDecoder::Outcome ChunkedDecoder::take_line(std::string_view& input, std::size_t max_bytes) {
  for (std::size_t i = 0; i < input.size(); ++i) {
    const char c = input[i];
    if (std::exchange(after_cr_, false)) {
      if (c != '\n') return Outcome::kMalformed;
      input.remove_prefix(i + 1);
      return Outcome::kDone;
    }
    if (c == '\r') {
      after_cr_ = true;
    } else if (!is_text_byte(c) || line_.size() == max_bytes) {
      return Outcome::kMalformed;
    } else {
      line_ += c;
    }
  }
  input.remove_prefix(input.size());
  return Outcome::kNeedMore;
}

ChunkedDecoder::Outcome ChunkedDecoder::take_size_line() {
  std::uint64_t size = 0;
  const char* const line_end = line_.data() + line_.size();
  const auto [size_end, error] = std::from_chars(line_.data(), line_end, size, 16);
  if (error == std::errc::result_out_of_range) return Outcome::kTooLarge;
  if (error != std::errc()) return Outcome::kMalformed;
  // Extensions are ignored, but nothing else may follow the size.
  if (size_end != line_end && *size_end != ';') return Outcome::kMalformed;
  if (size > bytes_left_) return Outcome::kTooLarge;
  bytes_left_ -= size;
  chunk_left_ = size;
  state_ = size == 0 ? State::kTrailerLine : State::kData;
  return Outcome::kDone;
}

ChunkedDecoder::Outcome ChunkedDecoder::take_trailer_line() {
  if (line_.empty()) {
    state_ = State::kDone;
    return Outcome::kDone;
  }
  trailer_bytes_ += line_.size();
  const std::size_t colon = line_.find(':');
  const bool is_field =
      colon != std::string::npos && colon > 0 && line_.find_first_of(" \t") > colon;
  if (!is_field || trailer_bytes_ > kMaxTrailerBytes) return Outcome::kMalformed;
  return Outcome::kDone;
}

}  // namespace fathom::net
