// Which vector instructions this processor has, for code that is compiled once for each set of them
// (fathom_vector_sources() in cmake/targets.cmake).
#pragma once

namespace fathom {

#if defined(__x86_64__)
inline bool has_avx2() {
  return __builtin_cpu_supports("avx2");
}

inline bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#endif

}  // namespace fathom
