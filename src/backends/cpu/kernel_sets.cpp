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

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

bool has_vnni() {
  return __builtin_cpu_supports("avx512vnni");
}

// Of the processors with the first, only Cooper Lake lacks the second.
bool has_bf16_and_vbmi() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vbmi");
}
#elif defined(__aarch64__)
bool has_dot_products() {
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

bool has_i8mm_and_bf16() {
  constexpr unsigned long kBoth = HWCAP2_I8MM | HWCAP2_BF16;
  return (getauxval(AT_HWCAP2) & kBoth) == kBoth;
}
#endif

}  // namespace

std::vector<const KernelSet*> native_kernels() {
  std::vector<const KernelSet*> sets = {&portable::kernels()};
#if defined(__x86_64__)
  if (has_avx2()) sets.push_back(&avx2::kernels());
  if (!has_avx2() || !has_avx512()) return sets;
#if !FATHOM_CPU_FEWER_SETS
  sets.push_back(&avx512::kernels());
  if (has_vnni()) sets.push_back(&avx512_vnni::kernels());
#endif
  if (has_vnni() && has_bf16_and_vbmi()) sets.push_back(&avx512_bf16::kernels());
#elif defined(__aarch64__)
  if (has_dot_products()) sets.push_back(&neon_dot::kernels());
  if (has_dot_products() && has_i8mm_and_bf16()) sets.push_back(&neon_i8mm::kernels());
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
