#include "kvtransfer/checksum.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace fathom::kvtransfer {
namespace {

constexpr uint64_t kPrime = 0x100000001B3;       // of 64-bit FNV, and
constexpr uint64_t kStart = 0xCBF29CE484222325;  // where it begins
constexpr size_t kLanes = 4;                     // so that a processor can multiply several at once

uint64_t mix(uint64_t sum, uint64_t word) {
  sum = (sum ^ word) * kPrime;
  return sum ^ sum >> 32;  // high bits reach low ones
}

}  // namespace

uint64_t checksum(std::span<const std::byte> bytes) {
  using Words = std::array<uint64_t, kLanes>;
  Words sums;
  sums.fill(kStart ^ bytes.size());
  while (!bytes.empty()) {
    Words words = {};
    const size_t count = std::min(bytes.size(), sizeof(words));
    std::memcpy(words.data(), bytes.data(), count);
    for (size_t i = 0; i < kLanes; ++i) sums[i] = mix(sums[i], words[i]);
    bytes = bytes.subspan(count);
  }
  uint64_t sum = kStart;
  for (const uint64_t each : sums) sum = mix(sum, each);
  return sum;
}

}  // namespace fathom::kvtransfer
