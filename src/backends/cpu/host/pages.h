#pragma once

#include <cstddef>

namespace fathom::cpu {

// What every allocation is aligned to, in bytes: a cache line.
constexpr size_t kAlignment = 64;

// Memory to free with std::free, in huge pages where it is large enough for them; NULL if there is
// none.
// From here on memory has pages of its own.
constexpr size_t kHugePage = size_t{2} << 20;

void* allocate_pages(size_t bytes);

}  // namespace fathom::cpu
