#include "backends/sim/host_copies.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace fathom::sim {

void HostCopies::add(void* to, const void* from, size_t bytes, Seconds due) {
  Copy copy;
  if (!spare_.empty()) {
    copy = std::move(spare_.back());
    spare_.pop_back();
  }
  const auto* begin = static_cast<const std::byte*>(from);
  copy.to = to;
  copy.due = due;
  copy.bytes.assign(begin, begin + bytes);
  pending_.push_back(std::move(copy));
}

void HostCopies::deliver(Seconds until) {
  const auto due_end = std::stable_partition(pending_.begin(), pending_.end(),
                                             [&](const Copy& copy) { return copy.due <= until; });
  for (auto copy = pending_.begin(); copy != due_end; ++copy) {
    std::memcpy(copy->to, copy->bytes.data(), copy->bytes.size());
    spare_.push_back(std::move(*copy));
  }
  pending_.erase(pending_.begin(), due_end);
}

}  // namespace fathom::sim
