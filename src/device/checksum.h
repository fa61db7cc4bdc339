// The checksum of the contract (device/abi.h), for backends whose memory the host can read and for
// what a chip's own is compared with.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fathom::device {

// Sum of (2 i + 1) w[i] modulo 2^64 over the 64-bit little-endian words of [from, from + bytes),
// the last one filled up with zeros. Of a range that is cut behind whole words it is the sum of the
// parts' checksums, where `first_word` is the index of a part's first word.
uint64_t checksum(const void* from, size_t bytes, uint64_t first_word = 0);

}  // namespace fathom::device
