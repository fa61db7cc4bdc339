#pragma once

#include "backends/cpu/host/thread_pool.h"
#include "backends/cpu/native/vec/vec.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// out[i] = body(a[i], b[i]) in vectors; `out` may be `a` or `b`.
template <typename Body>
static inline void map(const float* a, const float* b, float* out, int64_t count,
                       const Body& body) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(out + i, body(load(a + i), load(b + i)));
  if (i < count) {
    const int64_t rest = count - i;
    store_first(out + i, body(load_first(a + i, rest), load_first(b + i, rest)), rest);
  }
}

// Rows for which waking other threads pays: about as many elements as one thread does meanwhile.
template <typename Body>
static inline void for_rows(ThreadPool& pool, int64_t rows, int64_t columns, const Body& body) {
  constexpr int64_t kElementsToShare = 8192;
  const int64_t at_once = max_of(1, kElementsToShare / max_of(1, columns));
  parallel_for(pool, ceil_div(rows, at_once), [&](int64_t task, int thread) {
    for (int64_t t = task * at_once; t < min_of(rows, (task + 1) * at_once); ++t) body(t, thread);
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
