// A file descriptor kept for the moment when there are no others.
#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace fathom::net {

class ReserveDescriptor {
 public:
  ReserveDescriptor() { keep(); }
  ~ReserveDescriptor() { release(); }
  ReserveDescriptor(const ReserveDescriptor&) = delete;
  ReserveDescriptor& operator=(const ReserveDescriptor&) = delete;

  bool kept() const { return descriptor_ >= 0; }
  // False if the process has no descriptor left.
  bool keep() {
    if (!kept()) descriptor_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return kept();
  }
  void release() {
    if (kept()) ::close(descriptor_);
    descriptor_ = -1;
  }

 private:
  int descriptor_ = -1;
};

}  // namespace fathom::net
