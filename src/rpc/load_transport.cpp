#include "rpc/load_transport.h"

#include "base/plug_in.h"

namespace fathom::rpc {
namespace {

constexpr PlugIn kGrpc = {.file = "libfathom_grpc.so",
                          .entry = kTransportEntry,
                          .purpose = "engines and gateways that find each other",
                          .needs = "gRPC (Debian: libgrpc++1.51)"};

}  // namespace

Result<std::unique_ptr<Transport>> load_transport() {
  FATHOM_ASSIGN(void* entry, load_plug_in(kGrpc));
  std::unique_ptr<Transport> transport(reinterpret_cast<TransportEntry>(entry)(kTransportVersion));
  if (transport == nullptr) return other_version(kGrpc, kTransportVersion);
  return transport;
}

}  // namespace fathom::rpc
