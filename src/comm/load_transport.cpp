#include "comm/load_transport.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>

namespace fathom::comm {

namespace fs = std::filesystem;

Result<Transport*> load_transport() {
  std::error_code failed;
  const fs::path library =
      fs::read_symlink("/proc/self/exe", failed).parent_path() / "libfathom_mpi.so";
  // MPI's own plug-ins look for its symbols among the global ones.
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("a launcher started several ranks: expected {} and Open MPI's "
                             "libraries (Debian: openmpi-bin), got: {}",
                             library.string(), dlerror())};
  }
  auto* entry = reinterpret_cast<TransportEntry>(dlsym(handle, kTransportEntry));
  Transport* transport = entry == nullptr ? nullptr : entry(kTransportVersion);
  if (transport == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: expected transport version {}, got another: build it anew",
                             library.string(), kTransportVersion)};
  }
  return transport;
}

}  // namespace fathom::comm
