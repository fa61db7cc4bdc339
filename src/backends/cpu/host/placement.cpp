#include "backends/cpu/host/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace fathom::cpu {
namespace {

std::span<const Core> cores_of(const HostTopology& host, const HostShare& share) {
  const std::span<const Core> all = host.cores;
  if (share.count <= 1) return all;
  if (share.index < 0 || share.index >= share.count || host.bound) return {};
  const auto index = static_cast<size_t>(share.index);
  const auto count = static_cast<size_t>(share.count);
  const size_t begin = all.size() * index / count;
  return all.subspan(begin, all.size() * (index + 1) / count - begin);
}

const char* plural(size_t count) {
  return count == 1 ? "" : "s";
}

}  // namespace

std::string Placement::text() const {
  if (processors.empty()) return {};
  return fmt::format(" on {} core{} of {} node{}", cores, plural(cores), nodes.size(),
                     plural(nodes.size()));
}

Placement place_threads(const HostTopology& host, int threads, const HostShare& share) {
  const std::span<const Core> cores = cores_of(host, share);
  const auto wanted = static_cast<size_t>(threads);
  if (cores.empty() || wanted < cores.size()) return {};
  Placement placement;
  placement.cores = cores.size();
  placement.several_nodes = host.nodes > 1;
  size_t most = 0;
  for (const Core& core : cores) most = std::max(most, core.processors.size());
  for (size_t sibling = 0; sibling < most; ++sibling) {
    for (const Core& core : cores) {
      if (sibling < core.processors.size() && placement.processors.size() < wanted) {
        placement.processors.push_back(core.processors[sibling]);
      }
    }
  }
  if (placement.processors.size() < wanted) return {};
  for (const Core& core : cores) placement.nodes.push_back(core.node);
  std::ranges::sort(placement.nodes);
  placement.nodes.erase(std::unique(placement.nodes.begin(), placement.nodes.end()),
                        placement.nodes.end());
  return placement;
}

}  // namespace fathom::cpu
