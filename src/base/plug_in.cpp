#include "base/plug_in.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace fathom {

namespace fs = std::filesystem;

namespace {

fs::path find(const char* file) {
  const auto directories = plug_in_directories();
  std::error_code failed;
  for (const fs::path& directory : directories) {
    if (fs::exists(directory / file, failed)) return directory / file;
  }
  return directories.empty() ? fs::path(file) : directories.front() / file;
}

}  // namespace

std::vector<fs::path> plug_in_directories() {
  std::error_code failed;
  const fs::path binaries = fs::read_symlink("/proc/self/exe", failed).parent_path();
  if (failed) return {};
  return {binaries, binaries.parent_path() / "lib" / "fathom"};
}

Result<void*> load_plug_in(const PlugIn& plug_in) {
  const fs::path library = find(plug_in.file);
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
