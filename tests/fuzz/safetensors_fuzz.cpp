// A file of tensors; every tensor that it admits lies inside it.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "fuzz_target.h"
#include "models/files/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  const int file = memfd_create("safetensors", MFD_CLOEXEC);
  FATHOM_CHECK(file >= 0 && write(file, data, size) == static_cast<ssize_t>(size),
               "memory for the file");
  if (const auto opened = models::SafetensorsFile::open(fmt::format("/proc/self/fd/{}", file))) {
    unsigned sum = 0;
    for (const auto& tensor : (*opened)->tensors()) {
      if (tensor.bytes == 0) continue;
      sum += static_cast<unsigned>(tensor.data[0]) +
             static_cast<unsigned>(tensor.data[tensor.bytes - 1]);
    }
    FATHOM_CHECK(sum < ~0u, "both ends of each tensor can be read");
  }
  close(file);
  return 0;
}
