// What a group's operations demand of their arguments, whatever carries them.
#pragma once

#include <cstdint>
#include <span>

#include "comm/group.h"

namespace fathom::comm {

// Errors: kInvalidArgument, "operation name: expected X, got Y".
Status check_sum(const Tag& tag, fathom_dtype dtype, int64_t count);
Status check_counts(const Tag& tag, std::span<const int64_t> counts, int size);
// One size a rank.
Status check_sizes(const Tag& tag, std::span<const size_t> bytes, int size);
Status check_equal(const Tag& tag, const char* what, size_t expected, size_t got);
Status check_rank(const Tag& tag, const char* what, int rank, int size);
// A rank other than this one.
Status check_peer(const Tag& tag, int peer, int self, int size);

// Of a rank's own part: nothing where both are the same place.
void copy_bytes(const void* from, void* to, size_t bytes);

}  // namespace fathom::comm
