#include "kvtransfer/block_cutter.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "models/number_formats.h"

namespace fathom::kvtransfer {
namespace {

using engine::KvBlocks;
using models::KvBlockFormat;

KvBlockFormat format_of(fathom_dtype dtype, int64_t block_size) {
  return {.dtype = dtype, .layers = 3, .block_size = block_size, .latent = 5};
}

// The number that a token has in a layer's place, which bf16 cannot hold.
float number_of(int64_t token, int64_t layer, int64_t i) {
  return static_cast<float>(1 + token + 1000 * layer) + static_cast<float>(i) * 0x1p-9f;
}

// Blocks [first, first + count) of a prompt of `tokens`; behind its end they hold NaN.
KvBlocks blocks_of(const KvBlockFormat& format, int64_t first, int64_t count, int64_t tokens) {
  KvBlocks blocks = {.first = first, .count = count, .bytes = {}};
  for (int64_t block = first; block < first + count; ++block) {
    for (int64_t layer = 0; layer < format.layers; ++layer) {
      for (int64_t row = 0; row < format.block_size; ++row) {
        const int64_t token = block * format.block_size + row;
        for (int64_t i = 0; i < format.latent; ++i) {
          const float number = token < tokens ? number_of(token, layer, i) : std::nanf("");
          const uint16_t half = models::f32_to_bf16(number);
          const auto* bytes = format.dtype == FATHOM_F32
                                  ? reinterpret_cast<const std::byte*>(&number)
                                  : reinterpret_cast<const std::byte*>(&half);
          blocks.bytes.insert(blocks.bytes.end(), bytes, bytes + device::dtype_size(format.dtype));
        }
      }
    }
  }
  return blocks;
}

// All blocks that come out, one behind the other, as blocks of `from` come in random numbers.
KvBlocks cut(const KvBlockFormat& from, const KvBlockFormat& to, int64_t first, int64_t count,
             std::mt19937& random) {
  const int64_t tokens = (first + count) * to.block_size;
  const int64_t end = (tokens + from.block_size - 1) / from.block_size;
  BlockCutter cutter(from, to, first, count);
  KvBlocks all = {.first = first, .count = 0, .bytes = {}};
  for (int64_t next = cutter.first_needed(); next < end;) {
    const int64_t some = std::min<int64_t>(end - next, 1 + random() % models::kMaxKvBlocksACall);
    for (const KvBlocks& whole : cutter.add(blocks_of(from, next, some, tokens))) {
      EXPECT_EQ(whole.first, first + all.count);
      EXPECT_LE(whole.count, models::kMaxKvBlocksACall);
      all.count += whole.count;
      all.bytes.insert(all.bytes.end(), whole.bytes.begin(), whole.bytes.end());
    }
    next += some;
    EXPECT_EQ(cutter.whole_before(next), all.count);
  }
  return all;
}

TEST(BlockCutter, EveryTokenComesWhereTheOtherEngineHasIt) {
  std::mt19937 random(1);
  for (const int64_t own : {1, 3, 4, 16, 128}) {
    for (const int64_t wire : {1, 4, 5, 16, 128}) {
      for (const auto& [from, to] :
           {std::pair(FATHOM_F32, FATHOM_F32), std::pair(FATHOM_BF16, FATHOM_BF16),
            std::pair(FATHOM_F32, FATHOM_BF16)}) {
        for (const int64_t first : {0, 1, 7}) {
          const int64_t count = 1 + static_cast<int64_t>(random() % 20);
          const auto got = cut(format_of(from, own), format_of(to, wire), first, count, random);
          const auto expected =
              blocks_of(format_of(to, wire), first, count, (first + count) * wire);
          EXPECT_EQ(got.count, count);
          EXPECT_TRUE(got.bytes == expected.bytes)
              << own << " to " << wire << " tokens, from block " << first;
        }
      }
    }
  }
}

TEST(BlockCutter, WhatIsAlikePassesAsItIs) {
  const KvBlockFormat format = format_of(FATHOM_BF16, 4);
  BlockCutter cutter(format, format, 2, 3);
  EXPECT_EQ(cutter.first_needed(), 2);
  KvBlocks blocks = blocks_of(format, 2, 3, 20);
  const std::byte* memory = blocks.bytes.data();
  const auto whole = cutter.add(std::move(blocks));
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].bytes.data(), memory);
  EXPECT_EQ(cutter.whole_before(4), 2);
}

TEST(WireFormat, IsTheDecodeEnginesInTheNarrowerNumbers) {
  const auto wire = [](fathom_dtype prefill, fathom_dtype decode) {
    return wire_format(format_of(prefill, 64), format_of(decode, 16));
  };
  EXPECT_EQ(wire(FATHOM_F32, FATHOM_F32), format_of(FATHOM_F32, 16));
  EXPECT_EQ(wire(FATHOM_F32, FATHOM_BF16), format_of(FATHOM_BF16, 16));
  EXPECT_EQ(wire(FATHOM_BF16, FATHOM_F32), format_of(FATHOM_BF16, 16));
  EXPECT_EQ(wire(FATHOM_BF16, FATHOM_BF16), format_of(FATHOM_BF16, 16));
}

uint16_t narrowed(float number) {
  uint16_t bits = 0;
  convert_numbers(std::as_bytes(std::span(&number, 1)), FATHOM_F32,
                  std::as_writable_bytes(std::span(&bits, 1)), FATHOM_BF16);
  return bits;
}

TEST(ConvertNumbers, RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(narrowed(1.0f), 0x3f80);
  EXPECT_EQ(narrowed(std::bit_cast<float>(0x3f808000u)), 0x3f80);  // a tie
  EXPECT_EQ(narrowed(std::bit_cast<float>(0x3f808001u)), 0x3f81);
  EXPECT_EQ(narrowed(std::bit_cast<float>(0x3f818000u)), 0x3f82);  // a tie
  EXPECT_EQ(narrowed(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(narrowed(-std::numeric_limits<float>::infinity()), 0xff80);
  EXPECT_TRUE(std::isnan(models::bf16_to_f32(narrowed(std::bit_cast<float>(0x7f800001u)))));
}

TEST(ConvertNumbers, EveryBf16ComesBack) {
  std::vector<uint16_t> all(1 << 16), back(all.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  std::vector<float> wide(all.size());
  convert_numbers(std::as_bytes(std::span(all)), FATHOM_BF16,
                  std::as_writable_bytes(std::span(wide)), FATHOM_F32);
  convert_numbers(std::as_bytes(std::span(wide)), FATHOM_F32,
                  std::as_writable_bytes(std::span(back)), FATHOM_BF16);
  for (size_t i = 0; i < all.size(); ++i) {
    if (std::isnan(wide[i])) {
      EXPECT_TRUE(std::isnan(models::bf16_to_f32(back[i]))) << i;
    } else {
      ASSERT_EQ(back[i], all[i]);
    }
  }
}

}  // namespace
}  // namespace fathom::kvtransfer
