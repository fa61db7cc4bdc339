// Host code.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fathom::gpu {

// Parts of a workspace, one behind the other.
class WorkspaceCutter {
 public:
  explicit WorkspaceCutter(void* begin) : begin_(static_cast<char*>(begin)) {}

  // From a multiple of 256 bytes on.
  template <typename T>
  T* cut(int64_t count) {
    T* part = begin_ == nullptr ? nullptr : reinterpret_cast<T*>(begin_ + bytes_);
    bytes_ += (static_cast<size_t>(count) * sizeof(T) + 255) / 256 * 256;
    return part;
  }
  size_t bytes() const { return bytes_; }

 private:
  char* begin_;
  size_t bytes_ = 0;
};

}  // namespace fathom::gpu
