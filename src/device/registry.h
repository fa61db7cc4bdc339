// The chips this process can use: those linked in, and plug-ins found as libfathom-NAME.so.
#pragma once

#include <deque>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "device/abi.h"

namespace fathom::device {

class Registry {
 public:
  // A backend linked into the binary. One that is not of this contract, or lacks what it requires,
  // is refused by name.
  Status add(fathom_backend_entry_fn entry);

  // Opens one plug-in. It stays loaded until the process ends: its kernels may hold threads.
  Status load(const std::filesystem::path& library);
  // Loads every libfathom-*.so in `directory`; returns why some could not be loaded. A directory
  // that does not exist holds none.
  std::vector<Error> load_all(const std::filesystem::path& directory);

  // By name ("cpu"); the error lists the names there are. What is found ends with the registry.
  Result<const fathom_backend*> find(std::string_view name) const;
  std::vector<const fathom_backend*> backends() const;

 private:
  // Tables as this contract has them: what an older library's lack at their end is NULL.
  std::deque<fathom_backend> backends_;
};

}  // namespace fathom::device
