#include "models/random_rows.h"

#include "models/number_formats.h"
#include "models/simd_clones.h"

namespace fathom::models {
namespace {

// The sum of four bytes less its mean, and its standard deviation: sqrt(4 * (256^2 - 1) / 12).
constexpr int32_t kMean = 2 * 255;
constexpr float kDeviation = 147.80053f;

// SplitMix64's mixing function (Steele, Lea, Flood: Fast splittable pseudorandom number
// generators, 2014).
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// A 32-bit mix of the column under the row's two keys.
inline uint32_t bits_of(uint32_t column, uint32_t low, uint32_t high) {
  uint32_t x = column * 0x9e3779b9u ^ low;
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15) ^ high) * 0x846ca68bu;
  return x ^ (x >> 16);
}

FATHOM_SIMD_CLONES void fill(uint32_t low, uint32_t high, int64_t count, float scale, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bits = bits_of(static_cast<uint32_t>(i), low, high);
    const auto sum = static_cast<int32_t>((bits & 255u) + ((bits >> 8) & 255u) +
                                          ((bits >> 16) & 255u) + (bits >> 24));
    out[i] = bf16_to_f32(f32_to_bf16(static_cast<float>(sum - kMean) * scale));
  }
}

}  // namespace

uint64_t name_key(std::string_view name) {
  uint64_t key = 0;
  for (const char letter : name) key = mix(key ^ static_cast<uint8_t>(letter));
  return key;
}

void random_row(uint64_t key, int64_t row, int64_t count, float deviation, float* out) {
  const uint64_t keys = mix(key ^ mix(static_cast<uint64_t>(row)));
  fill(static_cast<uint32_t>(keys), static_cast<uint32_t>(keys >> 32), count,
       deviation / kDeviation, out);
}

}  // namespace fathom::models
