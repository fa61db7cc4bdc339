// What finds a block that was damaged on its way or mixed up with another: four running products
// over 64-bit words, at the speed of memory. No protection against intent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fathom::kvtransfer {

// Words are little-endian; what is missing to four of them is zeros. docs/kv-transfer.md defines
// it.
uint64_t checksum(std::span<const std::byte> bytes);

}  // namespace fathom::kvtransfer
