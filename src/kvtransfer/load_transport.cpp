#include "kvtransfer/load_transport.h"

#include <cstdlib>

#include "base/plug_in.h"

namespace fathom::kvtransfer {
namespace {

constexpr PlugIn kUcx = {.file = "libfathom_ucx.so",
                         .entry = kTransportEntry,
                         .purpose = "KV blocks between engines",
                         .needs = "UCX (Debian: libucx0)"};

// UCX reads these when it is loaded. Its log belongs on stderr, and signals are not its business.
void set_ucx_defaults() {
  setenv("UCX_LOG_FILE", "stderr", 0);
  setenv("UCX_LOG_LEVEL", "fatal", 0);  // what goes wrong with a peer is logged here, once
  setenv("UCX_HANDLE_ERRORS", "none", 0);
  setenv("UCX_CM_REUSEADDR", "y", 0);  // an engine that was killed starts again at its port
}

}  // namespace

Result<std::unique_ptr<Transport>> load_transport(size_t max_message) {
  set_ucx_defaults();
  FATHOM_ASSIGN(void* entry, load_plug_in(kUcx));
  const std::unique_ptr<Result<std::unique_ptr<Transport>>> made(
      reinterpret_cast<TransportEntry>(entry)(kTransportVersion, max_message));
  if (made == nullptr) return other_version(kUcx, kTransportVersion);
  return std::move(*made);
}

}  // namespace fathom::kvtransfer
