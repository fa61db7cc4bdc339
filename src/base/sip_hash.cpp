#include "base/sip_hash.h"

#include <bit>

namespace fathom {
namespace {

struct SipState {
  uint64_t v0, v1, v2, v3;

  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v2 += v3;
      v1 = std::rotl(v1, 13) ^ v0;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 = std::rotl(v0, 32);
      v2 += v1;
      v0 += v3;
      v1 = std::rotl(v1, 17) ^ v2;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 = std::rotl(v2, 32);
    }
  }

  void absorb(uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }

  uint64_t squeeze() {
    rounds(4);
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

uint64_t little_endian(std::span<const std::byte> bytes) {
  uint64_t word = 0;
  for (size_t i = 0; i < bytes.size(); ++i) word |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  return word;
}

}  // namespace

Hash128 sip_hash_128(const SipKey& key, std::span<const std::byte> message) {
  SipState state = {key.low ^ 0x736f6d6570736575, key.high ^ 0x646f72616e646f6d ^ 0xee,
                    key.low ^ 0x6c7967656e657261, key.high ^ 0x7465646279746573};
  const uint64_t length = uint64_t{message.size()} << 56;
  while (message.size() >= sizeof(uint64_t)) {
    state.absorb(little_endian(message.first(sizeof(uint64_t))));
    message = message.subspan(sizeof(uint64_t));
  }
  state.absorb(length | little_endian(message));
  state.v2 ^= 0xee;
  const uint64_t low = state.squeeze();
  state.v1 ^= 0xdd;
  return {low, state.squeeze()};
}

}  // namespace fathom
