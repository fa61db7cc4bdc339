// Pages of mapped files, which count as a process's memory until it lets them go.
#pragma once

#include <cstddef>

namespace fathom::models {

// Bytes of a read-only file mapping will not be read soon. What shares the first or the last page
// with them reads it from the file again.
void drop_pages(const void* data, size_t bytes);

}  // namespace fathom::models
