#include "net/content_coding.h"

#include <gtest/gtest.h>

#include <boost/beast/zlib/deflate_stream.hpp>
#include <boost/crc.hpp>
#include <cstdint>

namespace fathom::net {
namespace {

constexpr std::size_t kMost = 1 << 20;

std::string little_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

std::string compressed(std::string_view text) {
  namespace zlib = boost::beast::zlib;
  zlib::deflate_stream stream;
  std::string out(stream.upper_bound(text.size()) + 64, '\0');
  zlib::z_params step;
  step.next_in = text.data();
  step.avail_in = text.size();
  step.next_out = out.data();
  step.avail_out = out.size();
  boost::beast::error_code error;
  stream.write(step, zlib::Flush::finish, error);
  EXPECT_EQ(error, zlib::error::end_of_stream);
  out.resize(out.size() - step.avail_out);
  return out;
}

std::string gzip(std::string_view text, char flags = 0, const std::string& optional = "") {
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  return std::string("\x1f\x8b\x08", 3) + flags + std::string(6, '\0') + optional +
         compressed(text) + little_endian(crc.checksum()) +
         little_endian(static_cast<std::uint32_t>(text.size()));
}

TEST(ContentCoding, UnpacksTexts) {
  EXPECT_TRUE(is_gzip("GZIP") && is_gzip("x-gzip"));
  EXPECT_FALSE(is_gzip("br") || is_gzip("gzip, gzip") || is_gzip(""));
  std::string long_text;
  for (int i = 0; i < 50'000; ++i) long_text += "word " + std::to_string(i);
  for (const std::string& text : {std::string(), std::string("{\"prompt\":\"x\"}"), long_text}) {
    const auto got = gunzip(gzip(text), kMost);
    ASSERT_TRUE(got.ok()) << got.error().message;
    EXPECT_EQ(*got, text);
  }
  // RFC 1952's optional parts: extra field, name, comment, check sum of the header.
  const std::string optional = std::string("\x03\0abc", 5) + std::string("n\0c\0", 4) + "hh";
  EXPECT_EQ(gunzip(gzip("text", 2 | 4 | 8 | 16, optional), kMost).value(), "text");
}

// As the program gzip wrote it.
TEST(ContentCoding, UnpacksWhatGzipWrites) {
  constexpr unsigned char kHello[] = {0x1f, 0x8b, 0x08, 0,    0,    0,    0,    0, 0,
                                      0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0, 0x86,
                                      0xa6, 0x10, 0x36, 0x05, 0,    0,    0};
  const std::string_view data(reinterpret_cast<const char*>(kHello), sizeof(kHello));
  EXPECT_EQ(gunzip(data, kMost).value(), "hello");
}

TEST(ContentCoding, StopsAtTheLimit) {
  EXPECT_EQ(gunzip(gzip(std::string(1000, 'x')), 1000).value().size(), 1000u);
  EXPECT_EQ(gunzip(gzip(std::string(1001, 'x')), 1000).error().code, ErrorCode::kResourceExhausted);
  // 64 MiB of one letter in 64 KiB.
  const auto bomb = gunzip(gzip(std::string(64 << 20, 'x')), 100'000);
  EXPECT_EQ(bomb.error().code, ErrorCode::kResourceExhausted);
}

// With little room Beast decodes in other steps than with much.
TEST(ContentCoding, TextsOfEveryLengthFitWhereTheyJustDo) {
  std::string text;
  for (int i = 0; text.size() < 700; ++i) {
    text += i % 3 == 0 ? "hello, " : std::to_string(i * 7919 % 1000);
    const std::string packed = gzip(text);
    const auto got = gunzip(packed, text.size());
    ASSERT_TRUE(got.ok()) << text.size();
    EXPECT_EQ(*got, text);
    EXPECT_FALSE(gunzip(packed, text.size() - 1).ok()) << text.size();
  }
}

TEST(ContentCoding, RefusesWhatIsDamaged) {
  const std::string good = gzip("some text that is packed");
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(gunzip(good.substr(0, size), kMost).error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_FALSE(gunzip(good + "x", kMost).ok());
  EXPECT_FALSE(gunzip(good + good, kMost).ok());
  for (const std::size_t at : {0u, 1u, 2u}) {
    std::string bad = good;
    bad[at] = 'x';
    EXPECT_FALSE(gunzip(bad, kMost).ok()) << at;
  }
  for (std::size_t back = 1; back <= 8; ++back) {
    std::string bad = good;
    bad[good.size() - back] = static_cast<char>(bad[good.size() - back] ^ 1);
    EXPECT_FALSE(gunzip(bad, kMost).ok()) << back;
  }
  EXPECT_FALSE(gunzip(gzip("x", static_cast<char>(0x20)), kMost).ok());
}

}  // namespace
}  // namespace fathom::net
