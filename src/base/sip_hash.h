// SipHash-2-4 with 128 bits (Aumasson, Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT
// 2012, and its authors' 128-bit extension): without the key nobody can make two messages meet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fathom {

struct SipKey {
  uint64_t low = 0;
  uint64_t high = 0;
};

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;

  bool operator==(const Hash128&) const = default;
};

Hash128 sip_hash_128(const SipKey& key, std::span<const std::byte> message);

}  // namespace fathom
