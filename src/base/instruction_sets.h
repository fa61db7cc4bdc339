// Code that is compiled once for each set of vector instructions, in a namespace of the set's name,
// and which of it this processor runs. The build says which sets a library has, in definitions
// FATHOM_BUILT_name (fathom_vector_sources() in cmake/targets.cmake; backends/cpu).
#pragma once

#if defined(__aarch64__)
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fathom {

inline bool runs_portable() {
  return true;
}

#if defined(__x86_64__)
// Clang 14 does not know this one by name.
inline bool has_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

inline bool runs_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

inline bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

// Products of bytes, for packed weights.
inline bool runs_avx512_vnni() {
  return runs_avx512() && __builtin_cpu_supports("avx512vnni");
}

// Products of bf16 numbers, for attention. Of the processors with the first, only Cooper Lake lacks
// the second.
inline bool runs_avx512_bf16() {
  return runs_avx512_vnni() && __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("avx512vbmi");
}
#elif defined(__aarch64__)
// Products of signed bytes.
inline bool runs_neon_dot() {
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

// Products of unsigned by signed bytes, and of bf16 numbers.
inline bool runs_neon_i8mm() {
  constexpr unsigned long kBoth = HWCAP2_I8MM | HWCAP2_BF16;
  return runs_neon_dot() && (getauxval(AT_HWCAP2) & kBoth) == kBoth;
}
#endif

}  // namespace fathom

#if FATHOM_BUILT_avx2
#define FATHOM_IF_avx2(use) use(avx2)
#else
#define FATHOM_IF_avx2(use)
#endif
#if FATHOM_BUILT_avx512
#define FATHOM_IF_avx512(use) use(avx512)
#else
#define FATHOM_IF_avx512(use)
#endif
#if FATHOM_BUILT_avx512_vnni
#define FATHOM_IF_avx512_vnni(use) use(avx512_vnni)
#else
#define FATHOM_IF_avx512_vnni(use)
#endif
#if FATHOM_BUILT_avx512_bf16
#define FATHOM_IF_avx512_bf16(use) use(avx512_bf16)
#else
#define FATHOM_IF_avx512_bf16(use)
#endif
#if FATHOM_BUILT_neon_dot
#define FATHOM_IF_neon_dot(use) use(neon_dot)
#else
#define FATHOM_IF_neon_dot(use)
#endif
#if FATHOM_BUILT_neon_i8mm
#define FATHOM_IF_neon_i8mm(use) use(neon_i8mm)
#else
#define FATHOM_IF_neon_i8mm(use)
#endif

// use(name) for each set that the library has, the fastest last.
#define FATHOM_INSTRUCTION_SETS(use)                                                 \
  use(portable) FATHOM_IF_avx2(use) FATHOM_IF_avx512(use) FATHOM_IF_avx512_vnni(use) \
      FATHOM_IF_avx512_bf16(use) FATHOM_IF_neon_dot(use) FATHOM_IF_neon_i8mm(use)

// Declares a set's own function that returns what it has, a `type`.
#define FATHOM_DECLARE_SET(isa, type, function) \
  namespace isa {                               \
  const type& function();                       \
  }
