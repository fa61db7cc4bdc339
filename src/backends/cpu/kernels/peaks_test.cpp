// The loops that measure a processor's peaks, in each kernel set: what they count, not how fast.
#include "backends/cpu/testing/kernel_fixtures.h"

namespace fathom::cpu {
namespace {

class Peaks : public test::NativeTest {};

TEST_P(Peaks, CountTheProductsOfEachRound) {
  const int64_t int8 = kernels().multiply_int8(1);
  const bool has_byte_products = std::string(kernels().name) != "portable";
  EXPECT_EQ(int8 > 0, has_byte_products);
  EXPECT_EQ(kernels().multiply_int8(3), 3 * int8);
  const int64_t bf16 = kernels().multiply_bf16(1);
  EXPECT_GT(bf16, 0);
  EXPECT_EQ(kernels().multiply_bf16(3), 3 * bf16);
}

FATHOM_NATIVE_SUITE(Peaks);

}  // namespace
}  // namespace fathom::cpu
