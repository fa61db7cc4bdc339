#include "net/content_coding.h"

#include <algorithm>
#include <boost/beast/zlib/inflate_stream.hpp>
#include <boost/crc.hpp>
#include <cstdint>
#include <optional>

#include "net/http.h"

namespace fathom::net {
namespace {

namespace zlib = boost::beast::zlib;

constexpr std::size_t kFixedHeaderBytes = 10;
constexpr std::size_t kTrailerBytes = 8;  // check sum and length, little-endian
// Beast fills its buffer with the bits of the longest code before it looks one up, so it may have
// taken some of the trailer when the last code has been read.
constexpr std::size_t kMostReadAhead = 2;
constexpr std::size_t kFirstOutputBytes = 64 * 1024;
enum HeaderFlag : unsigned {
  kHeaderCrc = 2,
  kExtra = 4,
  kName = 8,
  kComment = 16,
  kReserved = 0xe0
};

unsigned byte_at(std::string_view data, std::size_t at) {
  return static_cast<unsigned char>(data[at]);
}

std::uint32_t little_endian(std::string_view data) {
  return byte_at(data, 0) | byte_at(data, 1) << 8 | byte_at(data, 2) << 16 |
         std::uint32_t{byte_at(data, 3)} << 24;
}

bool skip(std::string_view& data, std::size_t bytes) {
  if (data.size() < bytes) return false;
  data.remove_prefix(bytes);
  return true;
}

bool skip_text(std::string_view& data) {
  const std::size_t end = data.find('\0');
  return end != data.npos && skip(data, end + 1);
}

// The bytes behind the member's header; nothing if there is no valid header.
std::optional<std::string_view> without_header(std::string_view data) {
  if (data.size() < kFixedHeaderBytes || !data.starts_with("\x1f\x8b\x08")) return std::nullopt;
  const unsigned flags = byte_at(data, 3);
  if ((flags & kReserved) != 0) return std::nullopt;
  data.remove_prefix(kFixedHeaderBytes);
  if ((flags & kExtra) != 0) {
    if (data.size() < 2) return std::nullopt;
    if (!skip(data, 2 + (byte_at(data, 0) | byte_at(data, 1) << 8))) return std::nullopt;
  }
  if ((flags & kName) != 0 && !skip_text(data)) return std::nullopt;
  if ((flags & kComment) != 0 && !skip_text(data)) return std::nullopt;
  if ((flags & kHeaderCrc) != 0 && !skip(data, 2)) return std::nullopt;
  return data;
}

Error malformed() {
  return invalid_argument("gunzip: expected one whole gzip member, got other bytes");
}

Error too_long(std::size_t max_bytes) {
  return {ErrorCode::kResourceExhausted,
          "gunzip: expected at most " + std::to_string(max_bytes) + " bytes, got more"};
}

// Removes the compressed blocks from the front of `data`.
Result<std::string> inflate(std::string_view& data, std::size_t max_bytes) {
  zlib::inflate_stream stream;
  std::string text;
  boost::beast::error_code error;
  while (true) {
    const std::size_t done = text.size();
    // Room for one byte more than allowed tells a text that is too long from one that just fits.
    const std::size_t room = std::min(max_bytes + 1, std::max(kFirstOutputBytes, 2 * done));
    text.resize(room);
    zlib::z_params step;
    step.next_in = data.data();
    step.avail_in = data.size();
    step.next_out = text.data() + done;
    step.avail_out = room - done;
    stream.write(step, zlib::Flush::sync, error);
    data.remove_prefix(data.size() - step.avail_in);
    text.resize(room - step.avail_out);
    if (text.size() > max_bytes) return too_long(max_bytes);
    if (error == zlib::error::end_of_stream) return text;
    const bool went_on = text.size() > done;
    if ((error && error != zlib::error::need_buffers) || !went_on) return malformed();
  }
}

}  // namespace

bool is_gzip(std::string_view coding) {
  return equals_ignoring_case(coding, "gzip") || equals_ignoring_case(coding, "x-gzip");
}

Result<std::string> gunzip(std::string_view data, std::size_t max_bytes) {
  const auto blocks = without_header(data);
  if (!blocks) return malformed();
  std::string_view rest = *blocks;
  FATHOM_ASSIGN(std::string text, inflate(rest, max_bytes));
  if (rest.size() > kTrailerBytes || rest.size() + kMostReadAhead < kTrailerBytes) {
    return malformed();
  }
  rest = data.substr(data.size() - kTrailerBytes);
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  if (little_endian(rest) != crc.checksum()) return malformed();
  if (little_endian(rest.substr(4)) != static_cast<std::uint32_t>(text.size())) return malformed();
  return text;
}

}  // namespace fathom::net
