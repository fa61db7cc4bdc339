#include "kvtransfer/load_transport.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace fathom::kvtransfer {

namespace fs = std::filesystem;

namespace {

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
  std::error_code failed;
  const fs::path library =
      fs::read_symlink("/proc/self/exe", failed).parent_path() / "libfathom_ucx.so";
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("KV blocks between engines: expected {} and UCX (Debian: libucx0), "
                             "got: {}",
                             library.string(), dlerror())};
  }
  auto* entry = reinterpret_cast<TransportEntry>(dlsym(handle, kTransportEntry));
  const std::unique_ptr<Result<std::unique_ptr<Transport>>> made(
      entry == nullptr ? nullptr : entry(kTransportVersion, max_message));
  if (made == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: expected transport version {}, got another: build it anew",
                             library.string(), kTransportVersion)};
  }
  return std::move(*made);
}

}  // namespace fathom::kvtransfer
