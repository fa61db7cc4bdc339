#include "backends/cpu/pack_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "backends/cpu/packed_layout.h"

namespace fathom::cpu {
namespace {

// The bits of a finite number that F16 holds exactly; -1 of any other.
int32_t to_f16(float value) {
  const auto sign = static_cast<int32_t>(std::bit_cast<uint32_t>(value) >> 16 & 0x8000);
  const float magnitude = std::abs(value);
  if (!(magnitude <= 65504.0f)) return -1;
  // Units of the number's last place: 2^-24 for the subnormal ones.
  const int exponent = magnitude < 0x1p-14f ? -14 : std::ilogb(magnitude);
  const float units = std::ldexp(magnitude, 10 - exponent);
  if (units != std::floor(units)) return -1;
  const auto whole = static_cast<int32_t>(units);
  // The implied bit of a normal number, 1024, adds one to the exponent's field.
  return sign | (((exponent + 14) << 10) + whole);
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
        begin_(group * shape.group),
        end_(std::min(weight.k, begin_ + shape.group)),
        steps_(steps_of(shape, group)),
        memory_(memory) {}

  void write_weights() const {
    const bool whole = rows_ == kStripOutputs && (end_ - begin_) % shape_.step == 0;
    if (!whole) {
      std::memset(memory_, weight_.dtype == FATHOM_I8 ? 0x80 : 0x88,
                  static_cast<size_t>(steps_ * kStepBytes));
    }
    for (int64_t r = 0; r < rows_; ++r) {
      if (weight_.dtype == FATHOM_I8) {
        write_i8_row(r);
      } else {
        write_i4_row(r);
      }
    }
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
  // Where the row's 4 bytes of a step lie.
  uint8_t* place(int64_t r, int64_t step) const { return memory_ + step * kStepBytes + r * 4; }

  void write_i8_row(int64_t r) const {
    const auto* row = static_cast<const uint8_t*>(weight_.data) + (first_row_ + r) * weight_.k;
    for (int64_t step = 0, column = begin_; column < end_; ++step, column += 4) {
      uint32_t four = 0;
      std::memcpy(&four, row + column, static_cast<size_t>(std::min<int64_t>(4, end_ - column)));
      four ^= 0x80808080;
      std::memcpy(place(r, step), &four, sizeof(four));
    }
  }

  // A stored value of 4 bits is more by 8 already; rows and groups have an even number of them.
  void write_i4_row(int64_t r) const {
    const auto* row = static_cast<const uint8_t*>(weight_.data) + (first_row_ + r) * weight_.k / 2;
    for (int64_t step = 0, column = begin_; column < end_; ++step, column += 8) {
      uint32_t eight = 0x88888888;
      std::memcpy(&eight, row + column / 2,
                  static_cast<size_t>(std::min<int64_t>(8, end_ - column) / 2));
      const uint32_t bytes = low_halves(eight & 0xffff) | low_halves(eight >> 16) << 4;
      std::memcpy(place(r, step), &bytes, sizeof(bytes));
    }
  }

  // Four values of 4 bits, the first lowest, to the low halves of four bytes.
  static uint32_t low_halves(uint32_t values) {
    values = (values | values << 8) & 0x00ff00ff;
    return (values | values << 4) & 0x0f0f0f0f;
  }

  const fathom_weight& weight_;
  const PackedShape& shape_;
  const int64_t first_row_, rows_;
  const int64_t group_, begin_, end_, steps_;
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
      chunk.write_weights();
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
