// The packed layout, read back by its definition (packing.h).
#include "backends/cpu/packing/pack_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "backends/cpu/kernel_sets.h"
#include "backends/cpu/packing/packing.h"
#include "backends/cpu/testing/kernel_fixtures.h"

namespace fathom::cpu {
namespace {

using test::CpuDevice;
using test::Matrix;
using test::PackedWeight;
using test::WeightData;

double f16_value(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// The nearest half, of two equally near ones the even; not the compiler's own, which Clang 14
// lacks.
uint16_t f16_bits(float value) {
  const double magnitude = std::abs(static_cast<double>(value));
  const int exponent = magnitude == 0 ? -14 : std::max(std::ilogb(magnitude), -14);
  const double units = std::nearbyint(std::ldexp(magnitude, 10 - exponent));
  const double bits = std::min(1024.0 * (exponent + 14) + units, 31744.0);  // infinity at most
  return static_cast<uint16_t>((std::signbit(value) ? 0x8000 : 0) | static_cast<int>(bits));
}

// The real weight at [row, column], as the layout's definition reads.
double packed_value(const fathom_weight& w, int64_t row, int64_t column) {
  const PackedShape shape = packed_shape(w);
  const int64_t group = column / shape.group;
  const int64_t place = column % shape.group;
  const auto* chunk = static_cast<const uint8_t*>(w.data) +
                      row / kStripOutputs * shape.strip_bytes + group * shape.chunk_bytes;
  const uint8_t* step = chunk + place / shape.step * kStepBytes + row % kStripOutputs * 4;
  const uint8_t* scales = chunk + steps_of(shape, group) * kStepBytes;
  const int64_t in_step = place % shape.step;
  if (w.dtype == FATHOM_I8) {
    float scale = 0;
    std::memcpy(&scale, scales + row % kStripOutputs * 4, sizeof(scale));
    return (step[in_step] - 128) * static_cast<double>(scale);
  }
  uint16_t scale = 0;
  std::memcpy(&scale, scales + row % kStripOutputs * 2, sizeof(scale));
  const int pair = step[in_step % 4];
  return ((in_step < 4 ? pair & 15 : pair >> 4) - 8) * f16_value(scale);
}

TEST(PackWeights, EveryValueIsWhereTheLayoutSays) {
  std::mt19937 random(7);
  CpuDevice device(*find_kernels("native"));
  for (const auto dtype : {FATHOM_I8, FATHOM_I4}) {
    for (const int64_t n : {1, 31, 32, 33, 70}) {
      for (const int64_t k : {2, 30, 32, 64, 130, 390}) {
        for (const int32_t group : {32, 128, 1024, 6}) {
          if (dtype == FATHOM_I4 && group % 32 != 0) continue;
          const auto weight = WeightData::random(random, dtype, n, k, 1, group);
          const PackedWeight packed(device, FATHOM_OP_LINEAR, weight.view());
          ASSERT_EQ(packed.view().layout, kLayoutPacked);
          for (int64_t i = 0; i < n; ++i) {
            for (int64_t j = 0; j < k; ++j) {
              ASSERT_EQ(packed_value(packed.view(), i, j), weight.value(i, j))
                  << dtype << " [" << n << ", " << k << "] at [" << i << ", " << j << "]";
            }
          }
        }
      }
    }
  }
}

// The layout's bytes, one by one: what is left of a strip or a step is 0.
std::vector<uint8_t> packed_by_definition(const fathom_weight& w) {
  const PackedShape shape = packed_shape(w);
  const bool int8 = w.dtype == FATHOM_I8;
  const auto* data = static_cast<const uint8_t*>(w.data);
  std::vector<uint8_t> bytes(packed_bytes(w));
  uint8_t* to = bytes.data();
  for (int64_t strip = 0; strip < shape.strips; ++strip) {
    for (int64_t group = 0; group < shape.groups; ++group) {
      const int64_t begin = group * shape.group;
      const int64_t end = std::min(w.k, begin + shape.group);
      const auto code = [&](int64_t row, int64_t column) -> int {
        if (row >= w.n || column >= end) return int8 ? 128 : 8;
        if (int8) return data[row * w.k + column] ^ 128;
        return data[(row * w.k + column) / 2] >> column % 2 * 4 & 15;
      };
      for (int64_t column = begin; column < end; column += shape.step) {
        for (int64_t row = strip * kStripOutputs; row < (strip + 1) * kStripOutputs; ++row) {
          for (int64_t i = 0; i < 4; ++i) {
            const int high = int8 ? 0 : code(row, column + 4 + i) << 4;
            *to++ = static_cast<uint8_t>(code(row, column + i) | high);
          }
        }
      }
      for (int64_t row = strip * kStripOutputs; row < (strip + 1) * kStripOutputs; ++row) {
        const float scale = row < w.n ? w.scale[row * shape.groups + group] : 0.0f;
        const uint16_t half = f16_bits(scale);
        const size_t size = int8 ? sizeof(scale) : sizeof(half);
        std::memcpy(to, int8 ? static_cast<const void*>(&scale) : &half, size);
        to += size;
      }
    }
  }
  return bytes;
}

TEST(PackWeights, EveryByteIsTheLayouts) {
  std::mt19937 random(13);
  for (const auto dtype : {FATHOM_I8, FATHOM_I4}) {
    for (const int64_t n : {3, 4, 32, 71}) {
      for (const int64_t k : {2, 16, 44, 128, 418}) {
        for (const int32_t group : {32, 96, 128}) {
          const auto weight = WeightData::random(random, dtype, n, k, 1, group);
          const fathom_weight view = weight.view();
          std::vector<uint8_t> memory(packed_bytes(view), 0x55);
          BadScale bad;
          ASSERT_TRUE(pack_weight(view, memory.data(), bad));
          EXPECT_EQ(memory, packed_by_definition(view))
              << dtype << " [" << n << ", " << k << "] in groups of " << group;
        }
      }
    }
  }
}

TEST(PackWeights, CostsNoMoreThanItsBitsAndScales) {
  const fathom_weight i8 = {nullptr, nullptr, FATHOM_I8, 1, 128, FATHOM_LAYOUT_ROWS, 2048, 7168};
  EXPECT_EQ(packed_bytes(i8), 2048u * 7168 + 2048 * 7168 / 128 * 4);
  const fathom_weight i4 = {nullptr, nullptr, FATHOM_I4, 1, 32, FATHOM_LAYOUT_ROWS, 2048, 7168};
  EXPECT_EQ(packed_bytes(i4), 2048u * 7168 / 2 + 2048 * 7168 / 32 * 2);
}

TEST(PackWeights, KeepsEveryScaleThatF16Holds) {
  std::mt19937 random(8);
  CpuDevice device(*find_kernels("native"));
  for (const float scale :
       {0x1p-24f, 3 * 0x1p-24f, 0x1p-14f, 1023 * 0x1p-24f, 1.0f, 65504.0f, -0.5f, 0.0f, 2047.0f}) {
    auto weight = WeightData::random(random, FATHOM_I4, 1, 32, 1, 32);
    weight.scales()[0] = scale;
    const PackedWeight packed(device, FATHOM_OP_LINEAR, weight.view());
    EXPECT_EQ(packed_value(packed.view(), 0, 3), weight.value(0, 3)) << scale;
  }
}

TEST(PackWeights, RefusesScalesThatF16Lacks) {
  std::mt19937 random(9);
  CpuDevice device(*find_kernels("native"));
  for (const float scale : {65520.0f, 0x1p-25f, 1 + 0x1p-11f, std::nanf(""), HUGE_VALF}) {
    auto weight = WeightData::random(random, FATHOM_I4, 40, 64, 1, 32);
    weight.scales()[35 * 2 + 1] = scale;
    const fathom_weight view = weight.view();
    std::vector<uint8_t> memory(packed_bytes(view));
    fathom_weight packed = {};
    EXPECT_EQ(device.table().pack(device.handle(), FATHOM_OP_LINEAR, &view, memory.data(), &packed),
              FATHOM_INVALID);
    EXPECT_NE(std::string(device.table().last_error()).find("row 35, group 1"), std::string::npos)
        << device.table().last_error();
  }
}

size_t bytes_for(const KernelSet& kernels, fathom_op op, const fathom_weight& weight) {
  CpuDevice device(kernels);
  size_t bytes = 1;
  EXPECT_EQ(device.table().pack_bytes(device.handle(), op, &weight, &bytes), FATHOM_OK)
      << device.table().last_error();
  return bytes;
}

TEST(PackWeights, IsForLinearAndExpertsOfNativeKernelsOnly) {
  std::mt19937 random(10);
  const KernelSet& native = *find_kernels("native");
  const auto weight = WeightData::random(random, FATHOM_I8, 8, 32);
  EXPECT_GT(bytes_for(native, FATHOM_OP_LINEAR, weight.view()), 0u);
  EXPECT_GT(bytes_for(native, FATHOM_OP_MOE_EXPERTS, weight.view()), 0u);
  EXPECT_EQ(bytes_for(native, FATHOM_OP_EMBED, weight.view()), 0u);
  EXPECT_EQ(bytes_for(native, FATHOM_OP_MLA_DECODE, weight.view()), 0u);
  EXPECT_EQ(bytes_for(reference_kernels(), FATHOM_OP_LINEAR, weight.view()), 0u);
  for (const auto dtype : {FATHOM_F32, FATHOM_BF16, FATHOM_F8_E4M3}) {
    const auto other = WeightData::random(random, dtype, 8, 32);
    EXPECT_EQ(bytes_for(native, FATHOM_OP_LINEAR, other.view()), 0u) << dtype;
  }
  // Sums of such a group might not fit 32 bits.
  const fathom_weight long_group = {nullptr, nullptr, FATHOM_I8, 1, 1 << 20, 0, 8, 1 << 17};
  EXPECT_EQ(bytes_for(native, FATHOM_OP_LINEAR, long_group), 0u);
}

TEST(PackWeights, RefusesFormatsOutsideTheContract) {
  CpuDevice device(*find_kernels("native"));
  size_t bytes = 0;
  const auto status = [&](fathom_weight weight) {
    return device.table().pack_bytes(device.handle(), FATHOM_OP_LINEAR, &weight, &bytes);
  };
  EXPECT_EQ(status({nullptr, nullptr, FATHOM_I8, 1, 1, 0, 8, 31}), FATHOM_OK);
  EXPECT_EQ(status({nullptr, nullptr, FATHOM_I8, 2, 128, 0, 8, 32}), FATHOM_INVALID);
  EXPECT_EQ(status({nullptr, nullptr, FATHOM_I8, 1, 0, 0, 8, 32}), FATHOM_INVALID);
  EXPECT_EQ(status({nullptr, nullptr, FATHOM_I4, 1, 32, 0, 8, 31}), FATHOM_INVALID);
  EXPECT_EQ(status({nullptr, nullptr, FATHOM_I4, 1, 48, 0, 8, 32}), FATHOM_INVALID);
  EXPECT_EQ(status({nullptr, nullptr, FATHOM_I4, 128, 32, 0, 8, 32}), FATHOM_INVALID);
  EXPECT_EQ(status({nullptr, nullptr, FATHOM_I32, 1, 32, 0, 8, 32}), FATHOM_UNSUPPORTED);
  EXPECT_EQ(status({nullptr, nullptr, FATHOM_I8, 1, 32, kLayoutPacked, 8, 32}), FATHOM_UNSUPPORTED);
}

TEST(PackWeights, OtherOperatorsAndKernelsRefuseAPackedWeight) {
  std::mt19937 random(11);
  const auto weight = WeightData::random(random, FATHOM_I8, 8, 32);
  CpuDevice native(*find_kernels("native"));
  const PackedWeight packed(native, FATHOM_OP_LINEAR, weight.view());
  Matrix x = Matrix::random(random, 1, 32);
  Matrix out(1, 8);
  const fathom_linear_args linear = {sizeof(linear), x.tensor(), packed.view(), out.tensor()};
  CpuDevice reference(reference_kernels());
  EXPECT_EQ(reference.run(FATHOM_OP_LINEAR, &linear), FATHOM_UNSUPPORTED);
  EXPECT_EQ(native.run(FATHOM_OP_LINEAR, &linear), FATHOM_OK) << native.table().last_error();
  const int32_t token = 3;
  const fathom_embed_args embed = {sizeof(embed), &token, 1, packed.view(), x.tensor()};
  EXPECT_EQ(native.run(FATHOM_OP_EMBED, &embed), FATHOM_UNSUPPORTED);
  fathom_linear_args unknown = linear;
  unknown.weight.layout = 77;
  EXPECT_EQ(native.run(FATHOM_OP_LINEAR, &unknown), FATHOM_UNSUPPORTED);
}

TEST(PackWeights, DescribeNamesThePath) {
  std::mt19937 random(12);
  const auto weight = WeightData::random(random, FATHOM_I4, 8, 32, 1, 32);
  CpuDevice device(*find_kernels("portable"));
  const PackedWeight packed(device, FATHOM_OP_LINEAR, weight.view());
  Matrix x(1, 32);
  Matrix out(1, 8);
  fathom_linear_args args = {sizeof(args), x.tensor(), packed.view(), out.tensor()};
  EXPECT_STREQ(device.table().describe(device.handle(), FATHOM_OP_LINEAR, &args),
               "portable int4 packed");
  args.weight = weight.view();
  EXPECT_STREQ(device.table().describe(device.handle(), FATHOM_OP_LINEAR, &args), "portable int4");
}

}  // namespace
}  // namespace fathom::cpu
