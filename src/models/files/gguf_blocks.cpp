#include "models/files/gguf_blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "models/number_formats.h"
#include "models/quantize/quantize.h"

namespace fathom::models {
namespace {

uint8_t byte_at(const std::byte* data, int64_t index) {
  return static_cast<uint8_t>(data[index]);
}

float half_at(const std::byte* data) {
  uint16_t bits = 0;
  std::memcpy(&bits, data, sizeof(bits));
  return f16_to_f32(bits);
}

void put_half(float value, std::byte* out) {
  const uint16_t bits = f32_to_f16(value);
  std::memcpy(out, &bits, sizeof(bits));
}

void decode_q8_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int64_t i = 0; i < 32; ++i) {
    out[i] = d * static_cast<float>(static_cast<int8_t>(byte_at(block, 2 + i)));
  }
}

// The low halves of the 16 bytes hold the first 16 numbers, the high halves the others.
void decode_q4_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int64_t i = 0; i < 16; ++i) {
    const int pair = byte_at(block, 2 + i);
    out[i] = d * static_cast<float>((pair & 15) - 8);
    out[i + 16] = d * static_cast<float>((pair >> 4) - 8);
  }
}

// Group `j` of 8: six bits of scale and six of minimum, in 12 bytes. The first four groups have
// bytes of their own; the others' low four bits follow, their high two on top of those bytes.
void q4_k_scale(const std::byte* packed, int64_t j, int& scale, int& minimum) {
  if (j < 4) {
    scale = byte_at(packed, j) & 63;
    minimum = byte_at(packed, j + 4) & 63;
    return;
  }
  const int low = byte_at(packed, j + 4);
  scale = (low & 15) | (byte_at(packed, j - 4) >> 6) << 4;
  minimum = (low >> 4) | (byte_at(packed, j) >> 6) << 4;
}

// F16 d, F16 least, 12 bytes of scales, 128 of numbers: 32 bytes hold two groups, the low halves
// the first.
void decode_q4_k(const std::byte* block, float* out) {
  const float d = half_at(block);
  const float least = half_at(block + 2);
  for (int64_t j = 0; j < 8; ++j) {
    int scale = 0;
    int minimum = 0;
    q4_k_scale(block + 4, j, scale, minimum);
    const float step = d * static_cast<float>(scale);
    const float offset = least * static_cast<float>(minimum);
    const std::byte* numbers = block + 16 + j / 2 * 32;
    for (int64_t i = 0; i < 32; ++i) {
      const int pair = byte_at(numbers, i);
      out[j * 32 + i] = step * static_cast<float>(j % 2 == 0 ? pair & 15 : pair >> 4) - offset;
    }
  }
}

// 128 bytes of low halves, 64 of upper two bits, 16 scales, F16 d. Half a block (128 numbers) is
// four runs of 32: runs 0 and 1 in the low halves of 64 bytes, 2 and 3 in the high ones; the upper
// bits of all four share a byte.
void decode_q6_k(const std::byte* block, float* out) {
  const float d = half_at(block + 208);
  for (int64_t i = 0; i < 256; ++i) {
    const int64_t half = i / 128;
    const int64_t run = i % 128 / 32;
    const int64_t at = i % 32;
    const int pair = byte_at(block, half * 64 + run % 2 * 32 + at);
    const int low = run < 2 ? pair & 15 : pair >> 4;
    const int high = (byte_at(block, 128 + half * 32 + at) >> (2 * run)) & 3;
    const auto scale = static_cast<int8_t>(byte_at(block, 192 + i / 16));
    out[i] = d * static_cast<float>(scale) * static_cast<float>((low | high << 4) - 32);
  }
}

void encode_q8_0(const float* values, std::byte* block) {
  float greatest = 0;
  for (int64_t i = 0; i < 32; ++i) greatest = std::max(greatest, std::fabs(values[i]));
  const float d = greatest / 127;
  const float inverse = d > 0 && std::isfinite(1 / d) ? 1 / d : 0;
  put_half(d, block);
  for (int64_t i = 0; i < 32; ++i) {
    const auto code = static_cast<int8_t>(std::nearbyint(values[i] * inverse));
    block[2 + i] = static_cast<std::byte>(code);
  }
}

// Our int4 groups are these blocks but for the order of the numbers.
void encode_q4_0(const float* values, int64_t count, std::byte* out) {
  std::vector<std::byte> pairs(static_cast<size_t>(count / 2));
  std::vector<float> scales(static_cast<size_t>(count / kInt4Group));
  WeightError ignored;
  quantize_rows({weight_in_rows(FATHOM_I4, 1, count), pairs.data(), scales.data()}, 0, 1, values,
                ignored);
  const auto code = [&](int64_t i) {
    const int pair = byte_at(pairs.data(), i / 2);
    return i % 2 == 0 ? pair & 15 : pair >> 4;
  };
  for (int64_t begin = 0; begin < count; begin += 32, out += 18) {
    put_half(scales[static_cast<size_t>(begin / 32)], out);
    for (int64_t i = 0; i < 16; ++i) {
      out[2 + i] = static_cast<std::byte>(code(begin + i) | code(begin + 16 + i) << 4);
    }
  }
}

}  // namespace

std::optional<GgmlType> ggml_type(uint32_t number) {
  for (const auto type : {GgmlType::kF32, GgmlType::kF16, GgmlType::kQ4_0, GgmlType::kQ8_0,
                          GgmlType::kQ4_K, GgmlType::kQ6_K, GgmlType::kBF16}) {
    if (static_cast<uint32_t>(type) == number) return type;
  }
  return std::nullopt;
}

const char* to_string(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return "F32";
    case GgmlType::kF16:
      return "F16";
    case GgmlType::kQ4_0:
      return "Q4_0";
    case GgmlType::kQ8_0:
      return "Q8_0";
    case GgmlType::kQ4_K:
      return "Q4_K";
    case GgmlType::kQ6_K:
      return "Q6_K";
    case GgmlType::kBF16:
      return "BF16";
  }
  return "unknown";
}

GgmlBlock ggml_block(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return {1, 4};
    case GgmlType::kF16:
    case GgmlType::kBF16:
      return {1, 2};
    case GgmlType::kQ4_0:
      return {32, 18};
    case GgmlType::kQ8_0:
      return {32, 34};
    case GgmlType::kQ4_K:
      return {256, 144};
    case GgmlType::kQ6_K:
      return {256, 210};
  }
  FATHOM_CHECK(false, "ggml_block: expected a known type");
}

int64_t ggml_bytes(GgmlType type, int64_t count) {
  const auto block = ggml_block(type);
  return count / block.values * block.bytes;
}

void decode_ggml(GgmlType type, const std::byte* data, int64_t count, float* out) {
  Weight row = weight_in_rows(FATHOM_F32, 1, count);
  row.data = data;
  switch (type) {
    case GgmlType::kF32:
      return dequantize_row(row, 0, out);
    case GgmlType::kF16:
      row.dtype = FATHOM_F16;
      return dequantize_row(row, 0, out);
    case GgmlType::kBF16:
      row.dtype = FATHOM_BF16;
      return dequantize_row(row, 0, out);
    default:
      break;
  }
  const auto block = ggml_block(type);
  for (int64_t begin = 0; begin < count; begin += block.values, data += block.bytes) {
    if (type == GgmlType::kQ8_0) decode_q8_0(data, out + begin);
    if (type == GgmlType::kQ4_0) decode_q4_0(data, out + begin);
    if (type == GgmlType::kQ4_K) decode_q4_k(data, out + begin);
    if (type == GgmlType::kQ6_K) decode_q6_k(data, out + begin);
  }
}

void encode_ggml(GgmlType type, const float* values, int64_t count, std::byte* out) {
  switch (type) {
    case GgmlType::kF32:
      std::memcpy(out, values, static_cast<size_t>(count) * sizeof(float));
      return;
    case GgmlType::kF16:
      for (int64_t i = 0; i < count; ++i) put_half(values[i], out + 2 * i);
      return;
    case GgmlType::kBF16:
      for (int64_t i = 0; i < count; ++i) {
        const uint16_t bits = f32_to_bf16(values[i]);
        std::memcpy(out + 2 * i, &bits, sizeof(bits));
      }
      return;
    case GgmlType::kQ8_0:
      for (int64_t i = 0; i < count; i += 32) encode_q8_0(values + i, out + i / 32 * 34);
      return;
    case GgmlType::kQ4_0:
      return encode_q4_0(values, count, out);
    default:
      FATHOM_CHECK(false, "encode_ggml: expected a type that we write");
  }
}

}  // namespace fathom::models
