// The parts that checks of arguments are made of. Each returns FATHOM_OK or has set last_error().
#pragma once

#include <fmt/format.h>

#include "backends/cpu/checks/check_args.h"
#include "device/last_error.h"

#define FATHOM_CPU_TRY(expr)                                                        \
  do {                                                                              \
    if (const fathom_status status_ = (expr); status_ != FATHOM_OK) return status_; \
  } while (false)

namespace fathom::cpu {

// The structure is at least the first version's.
fathom_status check_size(const char* op, size_t got, size_t wanted);
// An F32 matrix of that shape whose rows do not overlap; -1 takes any number of rows.
fathom_status check_matrix(const CheckContext& context, const char* op, const char* name,
                           const fathom_tensor& tensor, int64_t rows, int64_t columns);
// -1 takes any size. Packed weights are for the operators that pack() serves, in kernel sets that
// read them.
enum class Layouts { kRows, kRowsOrPacked };
fathom_status check_weight(const CheckContext& context, const char* op, const char* name,
                           const fathom_weight& weight, int64_t n, int64_t k,
                           Layouts layouts = Layouts::kRows);
// Whether it has a scale in rows.
bool is_scaled(const fathom_weight& weight);
// What the contract says of a weight's format, whatever its layout.
fathom_status check_format(const char* op, const char* name, const fathom_weight& weight);
fathom_status check_pointer(const CheckContext& context, const char* op, const char* name,
                            const void* data, bool needed);
fathom_status check_cache(const CheckContext& context, const char* op, const fathom_kv_cache& cache,
                          bool needed);
fathom_status check_mla_shape(const char* op, const fathom_mla_shape& shape);
fathom_status check_workspace(const CheckContext& context, const char* op, const void* workspace,
                              size_t got, size_t wanted);

template <typename... Args>
fathom_status invalid(fmt::format_string<Args...> format, Args&&... args) {
  return device::fail(FATHOM_INVALID, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
fathom_status unsupported(fmt::format_string<Args...> format, Args&&... args) {
  return device::fail(FATHOM_UNSUPPORTED, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace fathom::cpu
