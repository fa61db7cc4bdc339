#include "backends/cpu/packing/pack_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "backends/cpu/packing/packing.h"

namespace fathom::cpu {
namespace {

// The bits of a finite number that F16 holds exactly; -1 of any other.
int32_t to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<int32_t>(bits >> 16 & 0x8000);
  const auto magnitude = static_cast<int32_t>(bits & 0x7fffffff);
  constexpr int32_t kLargest = 0x477fe000;      // 65504
  constexpr int32_t kLeastNormal = 0x38800000;  // 2^-14
  if (magnitude > kLargest) return -1;
  if (magnitude >= kLeastNormal) {
    // 13 bits of fraction less, and an exponent that is less by 112.
    return (magnitude & 0x1fff) == 0 ? sign | (magnitude - 0x38000000) >> 13 : -1;
  }
  const float units = std::abs(value) * 0x1p24f;
  const auto whole = static_cast<int32_t>(units);
  return static_cast<float>(whole) == units ? sign | whole : -1;
}

// A step holds 4 bytes of each row, here as the layout wants them; of several rows side by side
// too. kNothing is what fills a step whose columns end within it.
struct Int8Step {
  static constexpr uint32_t kNothing = 0;
  template <typename Bytes>
  static Bytes turned(Bytes bytes) {
    return bytes ^ 0x80808080U;
  }
};

struct Int4Step {
  static constexpr uint32_t kNothing = 0x88888888;
  // A stored value of 4 bits is more by 8 already.
  template <typename Bytes>
  static Bytes turned(Bytes bytes) {
    return low_halves(bytes & 0xffffU) | low_halves(bytes >> 16) << 4;
  }

 private:
  // Four values of 4 bits, the first lowest, to the low halves of four bytes.
  template <typename Bytes>
  static Bytes low_halves(Bytes values) {
    values = (values | values << 8) & 0x00ff00ffU;
    return (values | values << 4) & 0x0f0f0f0fU;
  }
};

// 16 bytes, which every processor moves at once: packing is bound by memory with no more.
using Quad = uint32_t __attribute__((vector_size(16)));
constexpr int64_t kQuadBytes = sizeof(Quad);

Quad load_quad(const uint8_t* from) {
  Quad quad;
  std::memcpy(&quad, from, sizeof(quad));
  return quad;
}

// One chunk of one strip: the strip's outputs of one group, out of rows.
class Chunk {
 public:
  Chunk(const fathom_weight& weight, const PackedShape& shape, int64_t strip, int64_t group,
        uint8_t* memory)
      : weight_(weight),
        shape_(shape),
        first_row_(strip * kStripOutputs),
        rows_(std::min(kStripOutputs, weight.n - first_row_)),
        group_(group),
        steps_(steps_of(shape, group)),
        row_bytes_(bytes_of(weight.k)),
        begin_(bytes_of(group * shape.group)),
        bytes_(bytes_of(std::min(weight.k, (group + 1) * shape.group)) - begin_),
        memory_(memory) {}

  template <typename Step>
  void write_weights() const {
    if (rows_ < kStripOutputs) {
      std::memset(memory_, weight_.dtype == FATHOM_I8 ? 0x80 : 0x88,
                  static_cast<size_t>(steps_ * kStepBytes));
    }
    int64_t r = 0;
    for (; r + 4 <= rows_; r += 4) write_four_rows<Step>(r);
    for (; r < rows_; ++r) write_row<Step>(r, 0);
  }

  // False, with the row in the strip, at a scale that has no F16.
  bool write_scales(int64_t& bad_row) const {
    uint8_t* scales = memory_ + steps_ * kStepBytes;
    const size_t size = weight_.dtype == FATHOM_I8 ? sizeof(float) : sizeof(uint16_t);
    std::memset(scales, 0, static_cast<size_t>(kStripOutputs) * size);
    for (int64_t r = 0; r < rows_; ++r) {
      const float scale = weight_.scale[(first_row_ + r) * shape_.groups + group_];
      if (weight_.dtype == FATHOM_I8) {
        std::memcpy(scales + r * static_cast<int64_t>(size), &scale, size);
        continue;
      }
      const int32_t bits = to_f16(scale);
      if (bits < 0) {
        bad_row = r;
        return false;
      }
      const auto half = static_cast<uint16_t>(bits);
      std::memcpy(scales + r * static_cast<int64_t>(size), &half, size);
    }
    return true;
  }

 private:
  // Of so many columns of a row; rows and groups of 4-bit weights have an even number.
  int64_t bytes_of(int64_t columns) const {
    return weight_.dtype == FATHOM_I8 ? columns : columns / 2;
  }
  const uint8_t* row(int64_t r) const {
    return static_cast<const uint8_t*>(weight_.data) + (first_row_ + r) * row_bytes_ + begin_;
  }
  // Where the row's 4 bytes of a step lie.
  uint8_t* place(int64_t r, int64_t step) const { return memory_ + step * kStepBytes + r * 4; }

  // From byte `from` of its group on, a multiple of 4.
  template <typename Step>
  void write_row(int64_t r, int64_t from) const {
    for (int64_t at = from; at < bytes_; at += 4) {
      uint32_t four = Step::kNothing;
      std::memcpy(&four, row(r) + at, static_cast<size_t>(std::min<int64_t>(4, bytes_ - at)));
      four = Step::turned(four);
      std::memcpy(place(r, at / 4), &four, sizeof(four));
    }
  }

  // Four steps of four rows at a time: a square of 32-bit words is transposed.
  template <typename Step>
  void write_four_rows(int64_t r) const {
    int64_t at = 0;
    for (; at + kQuadBytes <= bytes_; at += kQuadBytes) {
      const Quad a = Step::turned(load_quad(row(r) + at));
      const Quad b = Step::turned(load_quad(row(r + 1) + at));
      const Quad c = Step::turned(load_quad(row(r + 2) + at));
      const Quad d = Step::turned(load_quad(row(r + 3) + at));
      const Quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      const Quad cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      const Quad ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      const Quad cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      const Quad steps[4] = {__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5),
                             __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
                             __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                             __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
      for (int64_t i = 0; i < 4; ++i) {
        std::memcpy(place(r, at / 4 + i), &steps[i], sizeof(Quad));
      }
    }
    for (int64_t i = r; i < r + 4; ++i) write_row<Step>(i, at);
  }

  const fathom_weight& weight_;
  const PackedShape& shape_;
  const int64_t first_row_, rows_;
  const int64_t group_, steps_;
  const int64_t row_bytes_, begin_, bytes_;  // of a row; in it where the group begins; of the group
  uint8_t* const memory_;
};

}  // namespace

size_t packed_bytes(const fathom_weight& weight) {
  if (!can_pack(weight)) return 0;
  const PackedShape shape = packed_shape(weight);
  return static_cast<size_t>(shape.strips * shape.strip_bytes);
}

bool pack_weight(const fathom_weight& weight, void* memory, BadScale& bad) {
  const PackedShape shape = packed_shape(weight);
  auto* bytes = static_cast<uint8_t*>(memory);
  for (int64_t strip = 0; strip < shape.strips; ++strip) {
    for (int64_t group = 0; group < shape.groups; ++group) {
      const Chunk chunk(weight, shape, strip, group,
                        bytes + strip * shape.strip_bytes + group * shape.chunk_bytes);
      if (weight.dtype == FATHOM_I8) {
        chunk.write_weights<Int8Step>();
      } else {
        chunk.write_weights<Int4Step>();
      }
      int64_t row = 0;
      if (!chunk.write_scales(row)) {
        bad = {strip * kStripOutputs + row, group};
        return false;
      }
    }
  }
  return true;
}

}  // namespace fathom::cpu
