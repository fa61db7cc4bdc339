#include "backends/cpu/kernel_sets.h"

#if defined(__aarch64__)
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

#include <string_view>

#include "backends/cpu/native/kernel_sets.h"

namespace fathom::cpu {
namespace {

#if defined(__x86_64__)
// Clang 14 does not know this one by name.
bool has_f16c() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

[[maybe_unused]] bool runs_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

[[maybe_unused]] bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

[[maybe_unused]] bool runs_avx512_vnni() {
  return runs_avx512() && __builtin_cpu_supports("avx512vnni");
}

// Of the processors with the first, only Cooper Lake lacks the second.
[[maybe_unused]] bool runs_avx512_bf16() {
  return runs_avx512_vnni() && __builtin_cpu_supports("avx512bf16") &&
         __builtin_cpu_supports("avx512vbmi");
}
#elif defined(__aarch64__)
[[maybe_unused]] bool runs_neon_dot() {
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

[[maybe_unused]] bool runs_neon_i8mm() {
  constexpr unsigned long kBoth = HWCAP2_I8MM | HWCAP2_BF16;
  return runs_neon_dot() && (getauxval(AT_HWCAP2) & kBoth) == kBoth;
}
#endif

}  // namespace

// Which sets were built, the build says (FATHOM_KERNEL_SETS in CMakeLists.txt).
std::vector<const KernelSet*> native_kernels() {
  std::vector<const KernelSet*> sets = {&portable::kernels()};
#if FATHOM_CPU_BUILT_avx2
  if (runs_avx2()) sets.push_back(&avx2::kernels());
#endif
#if FATHOM_CPU_BUILT_avx512
  if (runs_avx512()) sets.push_back(&avx512::kernels());
#endif
#if FATHOM_CPU_BUILT_avx512_vnni
  if (runs_avx512_vnni()) sets.push_back(&avx512_vnni::kernels());
#endif
#if FATHOM_CPU_BUILT_avx512_bf16
  if (runs_avx512_bf16()) sets.push_back(&avx512_bf16::kernels());
#endif
#if FATHOM_CPU_BUILT_neon_dot
  if (runs_neon_dot()) sets.push_back(&neon_dot::kernels());
#endif
#if FATHOM_CPU_BUILT_neon_i8mm
  if (runs_neon_i8mm()) sets.push_back(&neon_i8mm::kernels());
#endif
  return sets;
}

const KernelSet* find_kernels(const char* name) {
  const std::string_view wanted = name == nullptr ? "native" : name;
  if (wanted == "reference") return &reference_kernels();
  const auto sets = native_kernels();
  if (wanted == "native") return sets.back();
  for (const KernelSet* set : sets) {
    if (wanted == set->name) return set;
  }
  return nullptr;
}

std::string kernel_names() {
  std::string names = "native, reference";
  for (const KernelSet* set : native_kernels()) names += std::string(", ") + set->name;
  return names;
}

}  // namespace fathom::cpu
