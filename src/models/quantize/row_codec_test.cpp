#include "models/quantize/row_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/instruction_sets.h"
#include "models/number_formats.h"

namespace fathom::models {
namespace {

struct Coded {
  std::vector<std::byte> data;
  std::vector<float> scale;

  bool operator==(const Coded&) const = default;
};

// A row with groups of many sizes: ordinary ones, zeros, one number alone, and the ends of F32.
std::vector<float> awkward_row(std::mt19937& random, int64_t k) {
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> x(static_cast<size_t>(k));
  for (size_t i = 0; i < x.size(); ++i) {
    switch (i / 32 % 7) {
      case 1:
        x[i] = 0;
        break;
      case 2:
        x[i] = i % 32 == 5 ? -3.0f : 0.0f;
        break;
      case 3:
        x[i] = normal(random) * 1e-38f;
        break;
      case 4:
        x[i] = normal(random) * 1e-5f;
        break;
      case 5:
        x[i] = normal(random) * 1e20f;
        break;
      default:
        x[i] = normal(random);
    }
  }
  return x;
}

int32_t nearest(float value, int32_t least, int32_t greatest) {
  if (value <= static_cast<float>(least)) return least;
  if (value >= static_cast<float>(greatest)) return greatest;
  return static_cast<int32_t>(std::nearbyint(value));
}

float greatest_of(const std::vector<float>& x, size_t begin, size_t end) {
  float greatest = 0;
  for (size_t i = begin; i < end; ++i) greatest = std::max(greatest, std::fabs(x[i]));
  return greatest;
}

float usable_inverse(float step) {
  const float inverse = step > 0 ? 1 / step : 0;
  return std::isfinite(inverse) ? inverse : 0;
}

Coded int8_by_definition(const std::vector<float>& x) {
  Coded coded;
  for (size_t begin = 0; begin < x.size(); begin += kInt8Group) {
    const size_t end = std::min(x.size(), begin + kInt8Group);
    coded.scale.push_back(greatest_of(x, begin, end) / 127);
    const float inverse = usable_inverse(coded.scale.back());
    for (size_t i = begin; i < end; ++i) {
      coded.data.push_back(static_cast<std::byte>(nearest(x[i] * inverse, -127, 127)));
    }
  }
  return coded;
}

// One block of one row.
Coded f8_by_definition(const std::vector<float>& x) {
  Coded coded;
  coded.scale.push_back(greatest_of(x, 0, x.size()) / 448);
  const float inverse = usable_inverse(coded.scale.back());
  for (const float value : x) coded.data.push_back(std::byte{f32_to_f8(value * inverse)});
  return coded;
}

float int4_step(const std::vector<float>& group) {
  float extreme = 0;
  for (const float x : group) extreme = std::fabs(x) > std::fabs(extreme) ? x : extreme;
  float best = 0;
  float least = HUGE_VALF;
  for (const float code : {-8.0f, -8.7f, -9.5f, -7.2f, 7.0f, 7.6f}) {
    const float step = std::clamp(f16_to_f32(f32_to_f16(extreme / code)), -65504.0f, 65504.0f);
    const float inverse = step != 0 ? 1 / step : 0;
    float error = 0;
    for (const float x : group) {
      const float difference = static_cast<float>(nearest(x * inverse, -8, 7)) * step - x;
      error += difference * difference;
    }
    best = error < least ? step : best;
    least = std::min(error, least);
  }
  return best;
}

Coded int4_by_definition(const std::vector<float>& x) {
  Coded coded;
  coded.data.resize(x.size() / 2);
  for (size_t begin = 0; begin < x.size(); begin += kInt4Group) {
    const size_t end = std::min(x.size(), begin + kInt4Group);
    std::vector<float> group(x.begin() + static_cast<ptrdiff_t>(begin),
                             x.begin() + static_cast<ptrdiff_t>(end));
    group.resize(kInt4Group);
    const float step = int4_step(group);
    coded.scale.push_back(step);
    const float inverse = step != 0 ? 1 / step : 0;
    for (size_t i = begin; i < end; ++i) {
      const int32_t code = nearest(x[i] * inverse, -8, 7) + 8;
      coded.data[i / 2] |= static_cast<std::byte>(code << i % 2 * 4);
    }
  }
  return coded;
}

class RowCodecTest : public ::testing::TestWithParam<const RowCodec*> {};

TEST_P(RowCodecTest, NarrowsAsTheFormatsAreDefined) {
  const RowCodec& codec = *GetParam();
  std::mt19937 random(3);
  for (const int64_t k : {2, 30, 32, 96, 128, 130, 512, 700, 2048, 5346}) {
    const auto x = awkward_row(random, k);
    const auto count = static_cast<size_t>(k);
    WeightError error;

    Coded int8{std::vector<std::byte>(count), std::vector<float>((count + 127) / 128)};
    codec.narrow_i8(x.data(), k, int8.data.data(), int8.scale.data(), error);
    EXPECT_EQ(int8, int8_by_definition(x)) << k;

    Coded f8{std::vector<std::byte>(count), std::vector<float>(1)};
    codec.narrow_f8_block(x.data(), 1, k, k, f8.data.data(), f8.scale.data(), error);
    EXPECT_EQ(f8, f8_by_definition(x)) << k;

    Coded int4{std::vector<std::byte>(count / 2), std::vector<float>((count + 31) / 32)};
    codec.narrow_i4(x.data(), k, int4.data.data(), int4.scale.data(), error);
    EXPECT_EQ(int4, int4_by_definition(x)) << k;

    std::vector<std::byte> bf16(count * 2);
    codec.narrow_bf16(x.data(), k, bf16.data(), error);
    for (size_t i = 0; i < count; ++i) {
      const uint16_t wanted = f32_to_bf16(x[i]);
      ASSERT_EQ(std::memcmp(&bf16[i * 2], &wanted, 2), 0) << k << " at " << i;
    }
  }
}

TEST_P(RowCodecTest, WidensAsTheFormatsAreDefined) {
  const RowCodec& codec = *GetParam();
  std::mt19937 random(4);
  for (const int64_t k : {2, 34, 128, 330}) {
    std::vector<std::byte> row(static_cast<size_t>(k) * 2 + 1);
    for (auto& byte : row) byte = static_cast<std::byte>(random() & 0xff);
    const std::byte* data = row.data() + 1;  // of no alignment
    std::vector<float> scale(static_cast<size_t>(k + 31) / 32);
    for (auto& s : scale) s = std::ldexp(static_cast<float>(random() % 1000), -12);
    std::vector<float> out(static_cast<size_t>(k));
    const auto expect = [&](const char* name, const auto& value) {
      for (int64_t i = 0; i < k; ++i) {
        const float wanted = value(i);
        const float got = out[static_cast<size_t>(i)];
        ASSERT_TRUE(got == wanted || (std::isnan(got) && std::isnan(wanted))) << name << " " << i;
      }
    };
    const auto byte_at = [&](int64_t i) { return static_cast<uint8_t>(data[i]); };
    const auto half_at = [&](int64_t i) {
      return static_cast<uint16_t>(byte_at(2 * i) | byte_at(2 * i + 1) << 8);
    };
    const auto scale_at = [&](int64_t i) { return scale[static_cast<size_t>(i / 32)]; };
    codec.widen_bf16(data, k, out.data());
    expect("bf16", [&](int64_t i) { return bf16_to_f32(half_at(i)); });
    codec.widen_f16(data, k, out.data());
    expect("f16", [&](int64_t i) { return f16_to_f32(half_at(i)); });
    codec.widen_f8(data, scale.data(), 32, k, out.data());
    expect("f8", [&](int64_t i) { return f8_to_f32(byte_at(i)) * scale_at(i); });
    codec.widen_i8(data, scale.data(), 32, k, out.data());
    expect("i8", [&](int64_t i) { return static_cast<int8_t>(byte_at(i)) * scale_at(i); });
    codec.widen_i4(data, scale.data(), 32, k, out.data());
    expect("i4", [&](int64_t i) {
      return static_cast<float>((byte_at(i / 2) >> i % 2 * 4 & 15) - 8) * scale_at(i);
    });
  }
}

TEST(RowCodecs, AreThoseThatThisProcessorRuns) {
  std::vector<std::string> expected = {"portable"};
#if defined(__x86_64__)
  if (runs_avx2()) expected.emplace_back("avx2");
  if (runs_avx512()) expected.emplace_back("avx512");
#endif
  std::vector<std::string> names;
  for (const auto* set : row_codecs()) names.emplace_back(set->name);
  EXPECT_EQ(names, expected);
}

INSTANTIATE_TEST_SUITE_P(Sets, RowCodecTest, ::testing::ValuesIn(row_codecs()),
                         [](const auto& set) { return std::string(set.param->name); });

}  // namespace
}  // namespace fathom::models
