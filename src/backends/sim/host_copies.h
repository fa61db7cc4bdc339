// Copies to the host that were queued and whose time has not come.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

namespace fathom::sim {

using Seconds = std::chrono::duration<double>;  // of the chip's clock

class HostCopies {
 public:
  // Takes the bytes as they are now. Allocates nothing once it has held as much. Throws
  // std::bad_alloc.
  void add(void* to, const void* from, size_t bytes, Seconds due);
  // Writes what is due by then, in the order it was added.
  void deliver(Seconds until);

 private:
  struct Copy {
    void* to = nullptr;
    Seconds due = {};
    std::vector<std::byte> bytes;
  };
  std::vector<Copy> pending_;
  std::vector<Copy> spare_;  // for their memory
};

}  // namespace fathom::sim
