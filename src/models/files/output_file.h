// A file of known size that several threads fill.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"

namespace fathom::models {

class OutputFile {
 public:
  // The file must not exist.
  static Result<OutputFile> create(const std::filesystem::path& path, uint64_t bytes);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  // Thread-safe.
  Status write(uint64_t offset, const void* data, size_t bytes) const;

 private:
  OutputFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_ = -1;
};

}  // namespace fathom::models
