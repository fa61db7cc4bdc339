#include "backends/cpu/kernel_sets.h"

#include <string_view>

#include "base/instruction_sets.h"

namespace fathom::cpu {

// native/kernels.cpp, compiled for each.
#define FATHOM_DECLARE_KERNELS(isa) FATHOM_DECLARE_SET(isa, KernelSet, kernels)
FATHOM_INSTRUCTION_SETS(FATHOM_DECLARE_KERNELS)

std::vector<const KernelSet*> native_kernels() {
  std::vector<const KernelSet*> sets;
#define FATHOM_ADD_KERNELS(isa) \
  if (runs_##isa()) sets.push_back(&isa::kernels());
  FATHOM_INSTRUCTION_SETS(FATHOM_ADD_KERNELS)
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
