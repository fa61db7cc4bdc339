#include "comm/load_transport.h"

#include "base/plug_in.h"

namespace fathom::comm {
namespace {

// MPI's own plug-ins look for its symbols among the global ones.
constexpr PlugIn kMpi = {.file = "libfathom_mpi.so",
                         .entry = kTransportEntry,
                         .global = true,
                         .purpose = "a launcher started several ranks",
                         .needs = "Open MPI's libraries (Debian: openmpi-bin)"};

}  // namespace

Result<Transport*> load_transport() {
  FATHOM_ASSIGN(void* entry, load_plug_in(kMpi));
  Transport* transport = reinterpret_cast<TransportEntry>(entry)(kTransportVersion);
  if (transport == nullptr) return other_version(kMpi, kTransportVersion);
  return transport;
}

}  // namespace fathom::comm
