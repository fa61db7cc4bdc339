#include "backends/emulated/testing/word_kernels.h"

#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

using emulated::test::WordBuffers;
using emulated::test::WordKernels;

namespace {

using In = Global<const uint32_t>;
using Out = Global<uint32_t>;
constexpr int kThreads = 2 * kWarp;
constexpr int kWords = 4096;

constexpr int kReverseBarrier = __LINE__ + 3;
GPU_KERNEL void reverse(In in, Out out) {
  store(shared<uint32_t>(0), thread(), load(in, thread()));
  block_barrier();
  store(out, thread(), load(shared<uint32_t>(0), threads() - 1 - thread()));
}

constexpr int kWarpBarrier = __LINE__ + 4;
GPU_KERNEL void reverse_in_warp(In in, Out out) {
  const int begin = warp() * kWarp;
  store(shared<uint32_t>(0), thread(), load(in, thread()));
  warp_barrier();
  store(out, thread(), load(shared<uint32_t>(0), begin + kWarp - 1 - lane()));
}

constexpr int kCopiesWait = __LINE__ + 6;
GPU_KERNEL void copies(In in, Out out) {
  const bool is_last = thread() == threads() - 1;
  copy_async_or_zero<1>(shared<uint32_t>(0), thread(), in, thread(), !is_last);
  copy_commit();
  copy_async<1>(shared<uint32_t>(kThreads * 4), thread(), in, thread());
  copy_wait<0>();
  store(out, thread(), load(shared<uint32_t>(0), thread()));
  copy_commit();
  copy_wait<0>();
}

GPU_KERNEL void lanes(In, Out out) {
  const int base = thread() * 8;
  store(out, base, static_cast<uint32_t>(warp_sum(lane())));
  store(out, base + 1, static_cast<uint32_t>(warp_max<4>(lane())));
  store(out, base + 2, static_cast<uint32_t>(shuffle(lane(), 3)));
  store(out, base + 3, static_cast<uint32_t>(shuffle_xor(lane(), 1)));
  store(out, base + 4, static_cast<uint32_t>(vote_count(lane() % 4 == 0)));
  store(out, base + 5, static_cast<uint32_t>(vote_rank(lane() % 4 == 0)));
  store(out, base + 6, static_cast<uint32_t>(vote_any(lane() == 5) ? 1 : 0));
  store(out, base + 7, static_cast<uint32_t>(vote_all(lane() != 5) ? 1 : 0));
}

GPU_KERNEL void overwrites(In, Out out) {
  store(shared<uint32_t>(0), thread(), 1u);
  block_barrier();
  store(out, thread(), load(shared<uint32_t>(0), (thread() + 1) % threads()));
  store(shared<uint32_t>(0), thread(), 2u);
}

GPU_KERNEL void comes_elsewhere(In, Out) {
  if (lane() % 2 == 0) {
    block_barrier();
  } else {
    block_barrier();
  }
}

GPU_KERNEL void ends_early(In, Out) {
  if (thread() == 1) return;
  block_barrier();
}

GPU_KERNEL void reads_outside(In in, Out out) {
  store(out, thread(), load(in, kWords));
}

GPU_KERNEL void reads_unaligned(In in, Out out) {
  store(out, thread(), load_vec<2>(in, 1)[0]);
}

GPU_KERNEL void reads_outside_shared(In, Out out) {
  store(out, thread(), load(shared<uint32_t>(0), kWords));
}

// A and B are copied to shared memory, and the first warp multiplies.
template <typename T, bool kIsDeep>
GPU_KERNEL void multiply(In in, Out out) {
  using Product = Tile<T>;
  constexpr int kElements = 16 * Product::kDepth;
  constexpr int kOperandWords = kElements * static_cast<int>(sizeof(T)) / 4;
  for (int i = thread(); i < 2 * kOperandWords; i += threads()) {
    store(shared<uint32_t>(0), i, load(in, i));
  }
  block_barrier();
  if (warp() != 0) return;
  const auto a = shared<const T>(0);
  const auto b = a + kElements;
  typename Product::Sum sum;
  if constexpr (kIsDeep) {
    Product::add(sum, Product::load_a_deep(a, 16), Product::load_b_deep(b, 16));
  } else {
    Product::add(sum, Product::load_a(a, Product::kDepth), Product::load_b(b, Product::kDepth));
  }
  for (int e = 0; e < Product::kOwned; ++e) {
    const auto at = Product::row(e) * 16 + Product::column(e);
    store(out.as<typename Product::Total>(), at, sum.v[e]);
  }
}

template <void (*kKernel)(In, Out)>
fathom_status run(Queue& queue, const WordBuffers& buffers) {
  const Shape shape = {1, 1, 1, kThreads, 4096};
  return launch(queue, "word", shape, kKernel, buffers.in, buffers.out);
}

}  // namespace

const WordKernels& word_kernels() {
  static const WordKernels kernels = {kWarp,
                                      run<reverse>,
                                      kReverseBarrier,
                                      run<reverse_in_warp>,
                                      kWarpBarrier,
                                      run<copies>,
                                      kCopiesWait,
                                      run<lanes>,
                                      run<overwrites>,
                                      run<comes_elsewhere>,
                                      run<ends_early>,
                                      run<reads_outside>,
                                      run<reads_unaligned>,
                                      run<reads_outside_shared>,
                                      run<multiply<bf16, false>>,
                                      run<multiply<e4m3, false>>,
                                      run<multiply<int8_t, false>>,
                                      run<multiply<bf16, true>>};
  return kernels;
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
