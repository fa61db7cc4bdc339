// Matrix tiles of 16 by 16 as two instructions of 16 by 8 each, the tokens' halves. Lanes have
// pairs of k, as mma.sync wants them; ldmatrix reads them from shared memory, whose rows there
// begin at multiples of 16 bytes.
#pragma once

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

template <typename In>
class Tile;

template <>
class Tile<bf16> {
 public:
  static constexpr int kRows = 16;
  static constexpr int kColumns = 16;
  static constexpr int kDepth = 16;
  static constexpr int kOwned = 8;
  static constexpr int kRun = 2;

  struct A {
    uint32_t pairs[4];  // rows l / 4 and 8 more, k 2 (l % 4); both again, k 8 more
  };
  struct B {
    uint32_t pairs[4];  // likewise of columns
  };
  struct Sum {
    float v[kOwned] = {};
  };

  GPU_DEVICE static int row(int e) { return lane() / 4 + e % 4 / 2 * 8; }
  GPU_DEVICE static int column(int e) { return e / 4 * 8 + lane() % 4 * 2 + e % 2; }

  GPU_DEVICE static A load_a(Shared<const bf16> p, int stride) { return load_rows<A>(p, stride); }
  GPU_DEVICE static B load_b(Shared<const bf16> p, int stride) { return load_rows<B>(p, stride); }
  GPU_DEVICE static A load_a_deep(Shared<const bf16> p, int stride) {
    return load_deep<A>(p, stride);
  }
  GPU_DEVICE static B load_b_deep(Shared<const bf16> p, int stride) {
    return load_deep<B>(p, stride);
  }

  template <typename From>
  GPU_DEVICE static A make_a(From from) {
    return make<A>(from);
  }
  template <typename From>
  GPU_DEVICE static B make_b(From from) {
    return make<B>(from);
  }

  GPU_DEVICE static void add(Sum& sum, const A& a, const B& b) {
    add_half(sum.v, a, b.pairs[0], b.pairs[2]);
    add_half(sum.v + 4, a, b.pairs[1], b.pairs[3]);
  }

 private:
  // Lane l names row l % 8 of the (l / 8)th of four matrices of 8 by 8.
  template <typename Operand>
  GPU_DEVICE static Operand load_rows(Shared<const bf16> p, int stride) {
    const int row = lane() % 8 + lane() / 8 % 2 * 8;
    const int k = lane() / 16 * 8;
    const uint32_t at = shared_address((p + (row * stride + k)).byte);
    Operand to;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to.pairs[0]), "=r"(to.pairs[1]), "=r"(to.pairs[2]), "=r"(to.pairs[3])
                 : "r"(at)
                 : "memory");
    return to;
  }

  template <typename Operand>
  GPU_DEVICE static Operand load_deep(Shared<const bf16> p, int stride) {
    const int k = lane() % 8 + lane() / 16 * 8;
    const int row = lane() / 8 % 2 * 8;
    const uint32_t at = shared_address((p + (k * stride + row)).byte);
    Operand to;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to.pairs[0]), "=r"(to.pairs[1]), "=r"(to.pairs[2]), "=r"(to.pairs[3])
                 : "r"(at)
                 : "memory");
    return to;
  }

  template <typename Operand, typename From>
  GPU_DEVICE static Operand make(From from) {
    Operand to;
    for (int i = 0; i < 4; ++i) {
      const Vec<bf16, kRun> pair = from(lane() / 4 + i % 2 * 8, i / 2 * 8 + lane() % 4 * 2);
      to.pairs[i] = pair[0].bits | static_cast<uint32_t>(pair[1].bits) << 16;
    }
    return to;
  }

  GPU_DEVICE static void add_half(float* sum, const A& a, uint32_t b_low, uint32_t b_high) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a.pairs[0]), "r"(a.pairs[1]), "r"(a.pairs[2]), "r"(a.pairs[3]), "r"(b_low),
          "r"(b_high));
  }
};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
