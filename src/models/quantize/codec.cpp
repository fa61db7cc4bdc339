#include "models/quantize/narrow.h"
#include "models/quantize/narrow_i4.h"
#include "models/quantize/row_codec.h"
#include "models/quantize/widen.h"

#define FATHOM_TEXT_OF(name) #name
#define FATHOM_TEXT(name) FATHOM_TEXT_OF(name)

namespace fathom::models::FATHOM_ISA {
namespace {

bool any_minus_128(const std::byte* data, size_t count) {
  uint8_t found = 0;
  for (size_t i = 0; i < count; ++i) found |= static_cast<uint8_t>(data[i] == std::byte{0x80});
  return found != 0;
}

}  // namespace

const RowCodec& codec() {
  static constexpr RowCodec kCodec = {.name = FATHOM_TEXT(FATHOM_ISA),
                                      .widen_bf16 = widen_bf16,
                                      .widen_f16 = widen_f16,
                                      .widen_f8 = widen_f8,
                                      .widen_i8 = widen_i8,
                                      .widen_i4 = widen_i4,
                                      .narrow_bf16 = narrow_bf16,
                                      .narrow_i8 = narrow_i8,
                                      .narrow_i4 = narrow_i4,
                                      .narrow_f8_block = narrow_f8_block,
                                      .greatest_magnitude = greatest_magnitude,
                                      .any_minus_128 = any_minus_128};
  return kCodec;
}

}  // namespace fathom::models::FATHOM_ISA
