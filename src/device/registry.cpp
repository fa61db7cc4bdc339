#include "device/registry.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "device/check_backend.h"

namespace fathom::device {

namespace fs = std::filesystem;

namespace {

// Up to the name, without which nobody could be told whose table it is.
constexpr size_t kLeastTable = offsetof(fathom_backend, name) + sizeof(fathom_backend::name);

Result<fathom_backend> read_table(const fathom_backend& theirs) {
  if (theirs.size < kLeastTable) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("backend: expected a table of {} bytes, got {}",
                             sizeof(fathom_backend), theirs.size)};
  }
  if (theirs.name == nullptr || theirs.name[0] == '\0') {
    return Error{ErrorCode::kUnsupported, "backend: expected a name, got none"};
  }
  if (theirs.abi_version != FATHOM_ABI_VERSION) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("chip {}: expected contract version {}, got {}", theirs.name,
                             FATHOM_ABI_VERSION, theirs.abi_version)};
  }
  fathom_backend table = {};
  std::memcpy(&table, &theirs, std::min(theirs.size, sizeof(table)));
  if (table.version == nullptr) table.version = "";
  FATHOM_TRY(check_table(table));
  return table;
}

}  // namespace

Status Registry::add(fathom_backend_entry_fn entry) {
  const fathom_backend* backend = entry(FATHOM_ABI_VERSION);
  if (backend == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("backend: expected contract version {}, it serves another",
                             FATHOM_ABI_VERSION)};
  }
  FATHOM_ASSIGN(const fathom_backend table, read_table(*backend));
  if (find(table.name)) {
    return invalid_argument(fmt::format("chip {}: expected one of that name, got two", table.name));
  }
  backends_.push_back(table);
  return {};
}

Status Registry::load(const fs::path& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return Error{ErrorCode::kNotFound, fmt::format("load {}: {}", library.string(), dlerror())};
  }
  auto* entry = reinterpret_cast<fathom_backend_entry_fn>(dlsym(handle, FATHOM_BACKEND_ENTRY));
  if (entry == nullptr) {
    return Error{ErrorCode::kDataCorrupt, fmt::format("load {}: expected the function {}, got none",
                                                      library.string(), FATHOM_BACKEND_ENTRY)};
  }
  if (auto added = add(entry); !added) return added.error().with_context(library.string());
  return {};
}

std::vector<Error> Registry::load_all(const fs::path& directory) {
  std::vector<fs::path> libraries;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(directory, failed)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("libfathom-") && name.ends_with(".so")) libraries.push_back(entry.path());
  }
  std::sort(libraries.begin(), libraries.end());
  std::vector<Error> errors;
  for (const auto& library : libraries) {
    if (auto loaded = load(library); !loaded) errors.push_back(loaded.error());
  }
  return errors;
}

Result<const fathom_backend*> Registry::find(std::string_view name) const {
  std::vector<std::string_view> names;
  for (const auto& backend : backends_) {
    if (backend.name == name) return &backend;
    names.emplace_back(backend.name);
  }
  return Error{ErrorCode::kNotFound,
               fmt::format("chip: expected one of {}, got {}", fmt::join(names, ", "), name)};
}

std::vector<const fathom_backend*> Registry::backends() const {
  std::vector<const fathom_backend*> all;
  for (const auto& backend : backends_) all.push_back(&backend);
  return all;
}

}  // namespace fathom::device
