// What one rendering may use.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fathom::jinja {

struct RenderLimits {
  // Evaluated nodes, loop rounds and every 64 bytes handled count one step each.
  std::uint64_t steps = 10'000'000;
  // Longest string, the output included, in bytes.
  std::size_t text_bytes = std::size_t{64} << 20;
  // All values alive at once, in bytes.
  std::size_t live_bytes = std::size_t{256} << 20;
};

}  // namespace fathom::jinja
