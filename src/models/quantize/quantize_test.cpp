#include "models/quantize/quantize.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "models/number_formats.h"

namespace fathom::models {
namespace {

TEST(NumberFormats, HalfRoundTrips) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = f16_to_f32(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    EXPECT_EQ(f32_to_f16(value), bits) << value;
  }
  EXPECT_EQ(f16_to_f32(0x3c00), 1.0f);
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24f);
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(1 + 0x1p-11f), 0x3c00);  // a tie goes to the even one
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0);
}

TEST(NumberFormats, F8RoundTrips) {
  for (uint32_t code = 0; code < 256; ++code) {
    const float value = f8_to_f32(static_cast<uint8_t>(code));
    if (std::isnan(value)) continue;
    EXPECT_EQ(f32_to_f8(value), code) << value;
  }
  EXPECT_EQ(f8_to_f32(0x7e), 448.0f);
  EXPECT_EQ(f8_to_f32(0x01), 0x1p-9f);
  EXPECT_EQ(f32_to_f8(1e9f), 0x7e);
  EXPECT_EQ(f32_to_f8(17.0f), f32_to_f8(16.0f));  // a tie between 16 and 18
}

// A weight with its memory.
struct Held {
  explicit Held(Weight format)
      : data(data_bytes(format)), scale(scale_bytes(format) / sizeof(float)), weight(format) {
    weight.data = data.data();
    weight.scale = scale.data();
  }
  WeightOut out() { return {weight, data.data(), scale.data()}; }

  std::vector<std::byte> data;
  std::vector<float> scale;
  Weight weight;
};

std::vector<float> gaussian(int64_t count, float deviation) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(static_cast<size_t>(count));
  for (auto& value : values) value = normal(random);
  return values;
}

std::vector<float> read_back(const Weight& weight) {
  std::vector<float> values(static_cast<size_t>(weight.n * weight.k));
  for (int64_t row = 0; row < weight.n; ++row) {
    dequantize_row(weight, row, values.data() + row * weight.k);
  }
  return values;
}

class QuantizeTest : public ::testing::TestWithParam<std::tuple<fathom_dtype, int64_t, int64_t>> {};

// What is read back is what the error says, and within what the format can do.
TEST_P(QuantizeTest, ErrorIsWhatReadingBackShows) {
  const auto [dtype, n, k] = GetParam();
  const auto values = gaussian(n * k, 0.02f);
  Held held(weight_in_rows(dtype, n, k));
  WeightError error;
  quantize_rows(held.out(), 0, n, values.data(), error);

  const auto back = read_back(held.weight);
  double squares = 0;
  double squared_error = 0;
  double largest = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double difference = double{back[i]} - values[i];
    squares += double{values[i]} * values[i];
    squared_error += difference * difference;
    largest = std::max(largest, std::abs(difference));
  }
  EXPECT_NEAR(error.relative(), std::sqrt(squared_error / squares), 1e-6);
  EXPECT_NEAR(error.largest, largest, 1e-9);
  EXPECT_TRUE(error.finite());
  const double bound = dtype == FATHOM_BF16      ? 0.002
                       : dtype == FATHOM_F8_E4M3 ? 0.03
                       : dtype == FATHOM_I8      ? 0.008
                                                 : 0.13;
  EXPECT_LT(error.relative(), bound);
  EXPECT_GT(error.relative(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, QuantizeTest,
    ::testing::Combine(::testing::Values(FATHOM_BF16, FATHOM_F8_E4M3, FATHOM_I8, FATHOM_I4),
                       ::testing::Values(int64_t{1}, int64_t{130}),
                       ::testing::Values(int64_t{34}, int64_t{128}, int64_t{322})));

TEST(Quantize, Int8IsSymmetricAndReachesItsEnds) {
  std::vector<float> values(130, 0.25f);
  values[3] = -2.54f;
  Held held(weight_in_rows(FATHOM_I8, 1, 130));
  WeightError error;
  quantize_rows(held.out(), 0, 1, values.data(), error);
  EXPECT_FLOAT_EQ(held.scale[0], 2.54f / 127);
  EXPECT_EQ(static_cast<int8_t>(held.data[3]), -127);
  EXPECT_NEAR(static_cast<int>(static_cast<int8_t>(held.data[0])), 12.5, 0.5);
  EXPECT_FLOAT_EQ(held.scale[1], 0.25f / 127);
  EXPECT_EQ(static_cast<int8_t>(held.data[129]), 127);
}

TEST(Quantize, Int4PutsTheEvenColumnLowAndKeepsScalesInHalfPrecision) {
  std::vector<float> values(64);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 16) - 8;
  for (size_t i = 32; i < values.size(); ++i) values[i] *= 0.1f;
  Held held(weight_in_rows(FATHOM_I4, 1, 64));
  WeightError error;
  quantize_rows(held.out(), 0, 1, values.data(), error);
  EXPECT_EQ(held.scale[0], 1.0f);
  EXPECT_EQ(held.data[0], std::byte{0x10});  // -8, -7
  EXPECT_EQ(held.data[7], std::byte{0xfe});  // 6, 7
  for (const float scale : held.scale) EXPECT_EQ(f16_to_f32(f32_to_f16(scale)), scale);
  EXPECT_EQ(read_back(held.weight)[14], 6.0f);
}

// The search never does worse than the one scale that Q4_0 takes.
TEST(Quantize, Int4BeatsTheExtremeOverMinusEight) {
  const auto values = gaussian(32 * 200, 1);
  Held held(weight_in_rows(FATHOM_I4, 200, 32));
  WeightError error;
  quantize_rows(held.out(), 0, 200, values.data(), error);
  double plain = 0;
  for (size_t group = 0; group < 200; ++group) {
    const float* x = values.data() + group * 32;
    const float end =
        *std::max_element(x, x + 32, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
    const float step = f16_to_f32(f32_to_f16(end / -8));
    for (size_t i = 0; i < 32; ++i) {
      const float code = std::clamp(std::nearbyint(x[i] / step), -8.0f, 7.0f);
      plain += std::pow(code * step - x[i], 2);
    }
  }
  EXPECT_LT(error.squared_error, 0.95 * plain);
}

TEST(Quantize, ZerosAndTinyNumbersStayFinite) {
  for (const auto dtype : {FATHOM_BF16, FATHOM_F8_E4M3, FATHOM_I8, FATHOM_I4}) {
    for (const float value : {0.0f, 1e-44f, -1e-40f, 3e38f}) {
      const std::vector<float> values(64, value);
      Held held(weight_in_rows(dtype, 1, 64));
      WeightError error;
      quantize_rows(held.out(), 0, 1, values.data(), error);
      for (const float back : read_back(held.weight)) EXPECT_TRUE(std::isfinite(back)) << value;
      for (const float scale : held.scale) EXPECT_TRUE(std::isfinite(scale)) << value;
    }
  }
}

TEST(Quantize, NotFiniteIsNoticed) {
  for (const auto dtype : {FATHOM_BF16, FATHOM_F8_E4M3, FATHOM_I8, FATHOM_I4}) {
    for (const float wrong : {std::nanf(""), INFINITY, -INFINITY}) {
      std::vector<float> values(64, 1.0f);
      values[40] = wrong;
      Held held(weight_in_rows(dtype, 1, 64));
      WeightError error;
      quantize_rows(held.out(), 0, 1, values.data(), error);
      EXPECT_FALSE(error.finite()) << wrong;
    }
  }
}

TEST(WeightFormat, EmbeddingAndRouterStay) {
  using enum WeightUse;
  EXPECT_EQ(choose_dtype(WeightFormat::kInt4, kEmbedding, FATHOM_BF16, 64), FATHOM_BF16);
  EXPECT_EQ(choose_dtype(WeightFormat::kInt8, kRouter, FATHOM_F32, 64), FATHOM_F32);
  EXPECT_EQ(choose_dtype(WeightFormat::kInt4, kExpert, FATHOM_BF16, 64), FATHOM_I4);
  EXPECT_EQ(choose_dtype(WeightFormat::kInt4, kExpert, FATHOM_BF16, 63), FATHOM_I8);
  EXPECT_EQ(choose_dtype(WeightFormat::kInt4, kHead, FATHOM_BF16, 64), FATHOM_I8);
  EXPECT_EQ(choose_dtype(WeightFormat::kInt4, kAttention, FATHOM_BF16, 64), FATHOM_I8);
  EXPECT_EQ(choose_dtype(WeightFormat::kAsStored, kLinear, FATHOM_F8_E4M3, 64), FATHOM_F8_E4M3);
}

}  // namespace
}  // namespace fathom::models
