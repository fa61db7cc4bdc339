// How the work of one operator is shared among threads.
#pragma once

#include "backends/cpu/host/thread_pool.h"
#include "backends/cpu/native/vec/vec.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// Parts of [0, count): large ones first, so that what follows each other in memory is read by one
// thread, then ever smaller ones, so that threads end together even where others hold one up. None
// is smaller than `least`.
class ShrinkingParts {
 public:
  ShrinkingParts(int64_t count, int64_t least, int threads)
      : count_(count), least_(least), share_(2 * threads) {}

  int64_t parts() const {
    int64_t parts = 0;
    for (int64_t begin = 0; begin < count_; begin += size_at(begin)) ++parts;
    return parts;
  }
  // Calls body(i) for each i of a part.
  template <typename Body>
  void each(int64_t part, const Body& body) const {
    int64_t begin = 0;
    for (; part > 0; --part) begin += size_at(begin);
    const int64_t end = begin + size_at(begin);
    for (int64_t i = begin; i < end; ++i) body(i);
  }

 private:
  int64_t size_at(int64_t begin) const {
    const int64_t left = count_ - begin;
    const int64_t size = max_of(least_, left / share_);
    return left - size < least_ ? left : size;
  }

  int64_t count_;
  int64_t least_;
  int64_t share_;
};

// body(i, thread) for each i in [0, count), of `products` multiplications each: threads get as many
// at once as take longer than to pass them on, a microsecond or so.
template <typename Body>
static inline void share_work(ThreadPool& pool, int64_t count, int64_t products, const Body& body) {
  constexpr int64_t kProductsToShare = 24576;
  const ShrinkingParts parts(count, ceil_div(kProductsToShare, max_of(1, products)),
                             pool.threads());
  parallel_for(pool, parts.parts(), [&](int64_t part, int thread) {
    parts.each(part, [&](int64_t i) { body(i, thread); });
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
