#include "device/checksum.h"

#include <bit>
#include <cstring>

namespace fathom::device {

static_assert(std::endian::native == std::endian::little);

uint64_t checksum(const void* from, size_t bytes, uint64_t first_word) {
  const auto* at = static_cast<const std::byte*>(from);
  uint64_t sum = 0;
  uint64_t factor = 2 * first_word + 1;
  uint64_t word = 0;
  for (; bytes >= sizeof(word); bytes -= sizeof(word), at += sizeof(word), factor += 2) {
    std::memcpy(&word, at, sizeof(word));
    sum += factor * word;
  }
  word = 0;
  if (bytes > 0) std::memcpy(&word, at, bytes);
  return sum + factor * word;
}

}  // namespace fathom::device
