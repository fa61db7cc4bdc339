// Marks a function with plain loops that is compiled once for each kind of vector unit; the best
// is chosen when the program starts. Sanitizers cannot look into how that choice is made.
#pragma once

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// An "arch=" would keep the compiler from inlining anything into the clone.
#define FATHOM_SIMD_CLONES __attribute__((target_clones("default", "avx2")))
#else
#define FATHOM_SIMD_CLONES
#endif
