#include "backends/cpu/host/host_topology.h"

#include <hwloc.h>
#include <sched.h>

#include <memory>
#include <type_traits>

namespace fathom::cpu {
namespace {

struct Destroy {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<hwloc_topology, Destroy>;

struct FreeBitmap {
  void operator()(hwloc_bitmap_t bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<std::remove_pointer_t<hwloc_bitmap_t>, FreeBitmap>;

// Null where hwloc fails.
Topology load_topology(const char* synthetic) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return nullptr;
  Topology topology(raw);
  if (synthetic != nullptr && hwloc_topology_set_synthetic(raw, synthetic) != 0) return nullptr;
  if (hwloc_topology_load(raw) != 0) return nullptr;
  return topology;
}

// Whether this process may run on a processor; on all of a host that is made up.
class Affinity {
 public:
  explicit Affinity(hwloc_topology_t topology) : set_(hwloc_bitmap_alloc()) {
    const bool real = hwloc_topology_is_thissystem(topology) != 0;
    if (!real || hwloc_get_cpubind(topology, set_.get(), HWLOC_CPUBIND_THREAD) != 0) {
      hwloc_bitmap_fill(set_.get());
    }
  }
  bool allows(unsigned processor) const { return hwloc_bitmap_isset(set_.get(), processor) != 0; }

 private:
  Bitmap set_;
};

}  // namespace

HostTopology read_topology(const char* synthetic) {
  HostTopology host;
  const Topology topology = load_topology(synthetic);
  if (topology == nullptr) return host;
  const Affinity affinity(topology.get());
  host.nodes = hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_NUMANODE);
  // Where the system does not tell of cores, each processor is one.
  const bool tells = hwloc_get_nbobjs_by_type(topology.get(), HWLOC_OBJ_CORE) > 0;
  const hwloc_obj_type_t type = tells ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  hwloc_obj_t object = nullptr;
  while ((object = hwloc_get_next_obj_by_type(topology.get(), type, object)) != nullptr) {
    Core core;
    core.node = hwloc_bitmap_first(object->nodeset);
    unsigned processor = 0;
    hwloc_bitmap_foreach_begin(processor, object->cpuset) {
      if (affinity.allows(processor)) {
        core.processors.push_back(static_cast<int>(processor));
      } else {
        host.bound = true;
      }
    }
    hwloc_bitmap_foreach_end();
    if (!core.processors.empty()) host.cores.push_back(core);
  }
  return host;
}

void pin_this_thread(int processor) {
  if (processor >= CPU_SETSIZE) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(processor), &set);
  static_cast<void>(sched_setaffinity(0, sizeof(set), &set));
}

void interleave_memory(void* memory, size_t bytes, const std::vector<int>& nodes) {
  const Topology topology = load_topology(nullptr);
  if (topology == nullptr || memory == nullptr) return;
  const Bitmap set(hwloc_bitmap_alloc());
  for (const int node : nodes) hwloc_bitmap_set(set.get(), static_cast<unsigned>(node));
  static_cast<void>(hwloc_set_area_membind(topology.get(), memory, bytes, set.get(),
                                           HWLOC_MEMBIND_INTERLEAVE, HWLOC_MEMBIND_BYNODESET));
}

}  // namespace fathom::cpu
