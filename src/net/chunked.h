// Decoder of the chunked transfer coding, strict where leniency lets two parsers disagree about
// where a message ends. Source: RFC 9112, section 7.1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::net {

class ChunkedDecoder {
 public:
  enum class Outcome {
    kNeedMore,
    kDone,       // the last chunk and the trailers were read
    kMalformed,  // sizes that are not plain hexadecimal, bare CR or LF, control characters, …
    kTooLarge,   // a chunk was announced that would exceed max_body_bytes
  };

  static constexpr std::size_t kMaxLineBytes = 4096;      // a chunk's size and extensions
  static constexpr std::size_t kMaxTrailerBytes = 16384;  // trailers are read and dropped

  explicit ChunkedDecoder(std::uint64_t max_body_bytes) : bytes_left_(max_body_bytes) {}

  // Removes the bytes it understood from the front of `input` and appends the data among them to
  // `body`. After kDone the rest of `input` belongs to the next message.
  Outcome feed(std::string_view& input, std::string& body);

 private:
  enum class State { kSizeLine, kData, kDataEnd, kTrailerLine, kDone };

  Outcome take_size_line();
  Outcome take_trailer_line();
  // Moves bytes up to and including CRLF into line_ (without CRLF).
  Outcome take_line(std::string_view& input, std::size_t max_bytes);

  State state_ = State::kSizeLine;
  std::uint64_t bytes_left_;
  std::uint64_t chunk_left_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::string line_;
  bool after_cr_ = false;
};

}  // namespace fathom::net
