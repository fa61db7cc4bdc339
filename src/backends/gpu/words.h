// The words in which kernels for GPUs are written: all that device code uses of a chip. Device code
// is C++17 and stands in namespace fathom::gpu::FATHOM_GPU_DIALECT; it is compiled once for each
// dialect, by the dialect's compiler. A dialect is a header that gives the words below
// (FATHOM_GPU_DIALECT_HEADER); src/backends/emulated/dialect.h is the example to read. A launch's
// host code stands beside its kernel, in the same file.
//
// Constants of a dialect
//   kWarp                    lanes of a warp, a power of two
//   kLoadBytes               the width at which one lane reads device memory fastest: 4, 8 or 16
//   kSharedBytes             shared memory that one block may have
//   kMostThreads             threads that one block may have
//   kHasAsyncCopies          copy_async() overlaps with work; else it is a plain copy
//   kHasTiles<In>            Tile<In> is the chip's own: bf16 always is, e4m3 and int8_t may be not
//
// Where one is (a grid has three dimensions, a block one)
//   int thread(), threads(), lane(), warp(), warps(), block_x(), block_y(), block_z(),
//       blocks_x(), blocks_y(), blocks_z()
//
// Memory. Global<T> and Shared<T> (types.h) are addresses; only these words read and write there.
// Vectors are aligned to their own size. A type is 1, 2, 4, 8 or 16 bytes wide; what is stored to
// shared memory has 2 at least.
//   T load(p, i)                      p[i]
//   Vec<T, N> load_vec<N>(p, i)       p[i], ..., p[i + N - 1] at once
//   void store(p, i, v), store_vec(p, i, vec)
//   Shared<T> shared<T>(byte)         from that byte of the block's shared memory on
//   void atomic_add(Global<int64_t> or Global<int32_t>, i, v)    for counters alone: nobody waits
//                                     for another block, and no float is added so
//   void copy_async<N>(Shared<T> to, i, Global<const T> from, j)  N elements, 4, 8 or 16 bytes
//   void copy_async_or_zero<N>(to, i, from, j, bool is_there)     zeros where it is not; `from` is
//                                     then not read
//   void copy_commit()                closes a group of this thread's copies
//   void copy_wait<kLeft>()           until at most kLeft of its groups are on their way; others
//   see
//                                     them behind the next barrier
//
// Threads. All threads of a block, or all lanes of a warp, come to one of these together.
//   void block_barrier(), warp_barrier()
//   T shuffle(v, from), shuffle_xor(v, mask)       T has 1 to 16 bytes
//   T warp_sum<Group = kWarp>(v), warp_max<Group>(v)   of Group neighbouring lanes, to all of them:
//                                     v(l) + v(l ^ Group/2) and so on down to l ^ 1, in this order
//   bool vote_any(b), vote_all(b)
//   int vote_count(b), vote_rank(b)   lanes that say b; those of them before this one
//
// Matrix tiles of one warp: Sum[m, n] += A[m, k] B[n, k], m and n below 16, k below kDepth (bf16
// 16, e4m3 and int8_t 32). The weights are A, the tokens B: one instruction shape, however many
// tokens.
//   Tile<In>::A, B, Sum; Sum{} is zero
//   load_a(Shared<const In> p, int stride), load_b     [m or n, k] at p[m * stride + k]
//   load_a_deep, load_b_deep                           [m or n, k] at p[k * stride + m]
//   make_a(f), make_b(f)              from registers: f(m, k) is Vec<In, kRun>, of k, k + 1, ...;
//                                     kRun, the dialect's, is a power of two of 2 at least
//   void add(Sum& sum, A, B)
//   kOwned, row(e), column(e)         sums of this lane: sum.v[e] is that of m = row(e), n =
//   column(e)
//
// Numbers (words/numbers.h): widen(v) of bf16, e4m3, int8_t, or a Vec of them, narrow<T>(float);
//   fma, exp, log, rsqrt, multiply_high, bits_of, float_of. A product and a sum that stand apart
//   are never fused.
//
// Launches, on the host
//   fathom_status launch(Queue&, "name", Shape{grid_x, grid_y, grid_z, threads, shared_bytes},
//                        kernel, arguments...)
// GPU_KERNEL void name(...) declares a kernel, GPU_DEVICE a function that kernels call. GPU_UNROLL
// stands before a loop over what must stay in registers: its bounds are constants.
#pragma once

#ifndef FATHOM_GPU_DIALECT_HEADER
#error "words.h: FATHOM_GPU_DIALECT_HEADER must name the header of a dialect"
#endif

// NOLINTNEXTLINE: which one is the build's to say
#include FATHOM_GPU_DIALECT_HEADER
