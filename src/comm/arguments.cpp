#include "comm/arguments.h"

#include <fmt/format.h>

#include <cstring>

#include "comm/ordered_sum.h"
#include "device/tensor.h"

namespace fathom::comm {

Status check_sum(const Tag& tag, fathom_dtype dtype, int64_t count) {
  if (!can_sum(dtype)) {
    return invalid_argument(fmt::format("{}: expected f32 or bf16 to add up, got {}", tag.name,
                                        device::dtype_name(dtype)));
  }
  if (count < 0) {
    return invalid_argument(fmt::format("{}: expected a count from 0, got {}", tag.name, count));
  }
  return {};
}

Status check_counts(const Tag& tag, std::span<const int64_t> counts, int size) {
  FATHOM_TRY(check_equal(tag, "counts", static_cast<size_t>(size), counts.size()));
  for (const int64_t count : counts) {
    if (count < 0) {
      return invalid_argument(fmt::format("{}: expected counts from 0, got {}", tag.name, count));
    }
  }
  return {};
}

Status check_sizes(const Tag& tag, std::span<const size_t> bytes, int size) {
  return check_equal(tag, "sizes", static_cast<size_t>(size), bytes.size());
}

Status check_equal(const Tag& tag, const char* what, size_t expected, size_t got) {
  if (expected == got) return {};
  return invalid_argument(fmt::format("{}: expected {} {}, got {}", tag.name, expected, what, got));
}

Status check_rank(const Tag& tag, const char* what, int rank, int size) {
  if (rank >= 0 && rank < size) return {};
  return invalid_argument(
      fmt::format("{}: expected a {} from 0 to {}, got {}", tag.name, what, size - 1, rank));
}

Status check_peer(const Tag& tag, int peer, int self, int size) {
  FATHOM_TRY(check_rank(tag, "rank", peer, size));
  if (peer != self) return {};
  return invalid_argument(
      fmt::format("{}: expected another rank, got {}, this one", tag.name, self));
}

void copy_bytes(const void* from, void* to, size_t bytes) {
  if (bytes > 0 && from != to) std::memmove(to, from, bytes);
}

}  // namespace fathom::comm
