#include "base/plug_in.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace fathom {

namespace fs = std::filesystem;

fs::path binary_directory() {
  std::error_code failed;
  return fs::read_symlink("/proc/self/exe", failed).parent_path();
}

Result<void*> load_plug_in(const PlugIn& plug_in) {
  const fs::path library = binary_directory() / plug_in.file;
  void* handle = dlopen(library.c_str(), RTLD_NOW | (plug_in.global ? RTLD_GLOBAL : RTLD_LOCAL));
  if (handle == nullptr) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{}: expected {} and {}, got: {}", plug_in.purpose, library.string(),
                             plug_in.needs, dlerror())};
  }
  void* entry = dlsym(handle, plug_in.entry);
  if (entry == nullptr) {
    return Error{ErrorCode::kDataCorrupt, fmt::format("{}: expected the function {}, got none",
                                                      library.string(), plug_in.entry)};
  }
  return entry;
}

Error other_version(const PlugIn& plug_in, int version) {
  return {ErrorCode::kUnsupported,
          fmt::format("{}: expected transport version {}, got another: build it anew", plug_in.file,
                      version)};
}

}  // namespace fathom
