// Matrix tiles of the emulated chip. Which lane owns what differs with the width of a warp, as it
// does between vendors: 32 lanes have pairs of k in rows eight apart, others have runs of k. A tile
// adds its own products up, from the last k to the first, before it adds them to the sum: its
// rounding is like no other instruction's, so that kernels which mix instructions are found out.
#pragma once

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

template <typename In>
struct TileOf;
template <>
struct TileOf<bf16> {
  using Total = float;
  static constexpr int kDepth = 16;
};
template <>
struct TileOf<e4m3> {
  using Total = float;
  static constexpr int kDepth = 32;
};
template <>
struct TileOf<int8_t> {
  using Total = int32_t;
  static constexpr int kDepth = 32;
};

template <typename In>
class Tile {
 public:
  static constexpr int kRows = 16;
  static constexpr int kColumns = 16;
  static constexpr int kDepth = TileOf<In>::kDepth;
  static constexpr int kOwned = kRows * kColumns / kWarp;
  using Total = typename TileOf<In>::Total;

 private:
  static constexpr bool kInPairs = kWarp == 32;
  static constexpr int kInputs = kRows * kDepth / kWarp;  // that a lane has of A, and of B

 public:
  static constexpr int kRun = kInPairs ? 32 / (8 * static_cast<int>(sizeof(In))) : kInputs;
  static_assert(kRun >= 2, "a lane has k in runs");

  struct A {
    In v[kInputs];
  };
  struct B {
    In v[kInputs];
  };
  struct Sum {
    Total v[kOwned] = {};
  };

  static int row(int e) { return row_of(lane(), e); }
  static int column(int e) { return column_of(lane(), e); }

  static A load_a(Shared<const In> p, int stride, Site site = Site::here()) {
    return load_operand<A>(p, stride, site);
  }
  static B load_b(Shared<const In> p, int stride, Site site = Site::here()) {
    return load_operand<B>(p, stride, site);
  }
  static A load_a_deep(Shared<const In> p, int stride, Site site = Site::here()) {
    return load_deep<A>(p, stride, site);
  }
  static B load_b_deep(Shared<const In> p, int stride, Site site = Site::here()) {
    return load_deep<B>(p, stride, site);
  }

  template <typename From>
  static A make_a(From from) {
    return make_operand<A>(from);
  }
  template <typename From>
  static B make_b(From from) {
    return make_operand<B>(from);
  }

  static void add(Sum& sum, const A& a, const B& b, Site site = Site::here()) {
    Operands mine = {&sum, &a, &b};
    emulated::together(site, &mine, multiply);
  }

 private:
  struct Operands {
    Sum* sum;
    const A* a;
    const B* b;
  };

  // Of the e-th sum, and of the run of inputs that begins at the e-th.
  static int row_of(int lane_of, int e) {
    if constexpr (kInPairs) return lane_of / 4 + e % 4 / 2 * 8;
    return lane_of / 16 * kOwned + e;
  }
  static int column_of(int lane_of, int e) {
    if constexpr (kInPairs) return e / 4 * 8 + lane_of % 4 * 2 + e % 2;
    return lane_of % 16;
  }
  static int input_row(int lane_of, int e) {
    if constexpr (kInPairs) return lane_of / 4 + e / kRun % 2 * 8;
    return lane_of % 16;
  }
  static int input_k(int lane_of, int e) {
    if constexpr (kInPairs) return e / (2 * kRun) * (kDepth / 2) + lane_of % 4 * kRun;
    return lane_of / 16 * kInputs;
  }

  template <typename Operand, typename From>
  static Operand make_operand(From from) {
    Operand operand;
    const int me = lane();
    for (int e = 0; e < kInputs; e += kRun) {
      const Vec<In, kRun> run = from(input_row(me, e), input_k(me, e));
      for (int i = 0; i < kRun; ++i) operand.v[e + i] = run[i];
    }
    return operand;
  }

  template <typename Operand>
  static Operand load_operand(Shared<const In> p, int stride, Site site) {
    return make_operand<Operand>(
        [&](int m, int k) { return load_vec<kRun>(p, m * stride + k, site); });
  }

  template <typename Operand>
  static Operand load_deep(Shared<const In> p, int stride, Site site) {
    return make_operand<Operand>([&](int m, int k) {
      Vec<In, kRun> run;
      for (int i = 0; i < kRun; ++i) run[i] = load(p, (k + i) * stride + m, site);
      return run;
    });
  }

  using Wide = std::conditional_t<std::is_same_v<Total, float>, float, int32_t>;
  static Wide wide(In v) {
    if constexpr (std::is_same_v<In, int8_t>) return v;
    if constexpr (!std::is_same_v<In, int8_t>) return widen(v);
  }

  static void multiply(void* const* lanes, int count) {
    Wide a[kDepth][kRows];
    Wide b[kDepth][kColumns];
    for (int l = 0; l < count; ++l) {
      const auto& operands = *static_cast<const Operands*>(lanes[l]);
      for (int e = 0; e < kInputs; ++e) {
        const int k = input_k(l, e / kRun * kRun) + e % kRun;
        a[k][input_row(l, e)] = wide(operands.a->v[e]);
        b[k][input_row(l, e)] = wide(operands.b->v[e]);
      }
    }
    Total products[kRows][kColumns] = {};
    for (int k = kDepth - 1; k >= 0; --k) {
      for (int m = 0; m < kRows; ++m) {
        for (int n = 0; n < kColumns; ++n) products[m][n] += a[k][m] * b[k][n];
      }
    }
    for (int l = 0; l < count; ++l) {
      Sum& sum = *static_cast<const Operands*>(lanes[l])->sum;
      for (int e = 0; e < kOwned; ++e) sum.v[e] += products[row_of(l, e)][column_of(l, e)];
    }
    emulated::count_multiply_adds(int64_t{kRows} * kColumns * kDepth);
  }
};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
