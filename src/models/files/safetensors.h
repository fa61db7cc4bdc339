// Released checkpoints: safetensors files, memory-mapped, one or sharded with an index.
// Format: 8 bytes little-endian header length, a JSON header of name -> {dtype, shape,
// data_offsets}, then the data (https://github.com/huggingface/safetensors).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "device/abi.h"

namespace fathom::models {

// A tensor inside a mapped file. `data` may have any alignment. A file holds pairs of 4-bit numbers
// as U8; here they are I4, with twice the columns.
struct StoredTensor {
  std::string name;
  fathom_dtype dtype = FATHOM_F32;
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;
  size_t bytes = 0;
  std::string file;  // for messages
};

// One mapped file. Header and offsets are checked in full on opening: nothing a file says is
// believed before.
class SafetensorsFile {
 public:
  static Result<std::unique_ptr<SafetensorsFile>> open(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  const std::vector<StoredTensor>& tensors() const { return tensors_; }

 private:
  SafetensorsFile() = default;
  Status parse_header(const std::string& file_name);

  std::byte* mapping_ = nullptr;
  size_t size_ = 0;
  std::vector<StoredTensor> tensors_;
};

// All tensors of a model directory: those of model.safetensors.index.json, or of
// model.safetensors alone.
class Checkpoint {
 public:
  static Result<Checkpoint> open(const std::filesystem::path& directory);

  // The error names the tensor and the directory.
  Result<const StoredTensor*> find(std::string_view name) const;
  bool contains(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  size_t total_bytes() const { return total_bytes_; }
  std::vector<const StoredTensor*> tensors() const;

 private:
  Status add_file(const std::filesystem::path& path,
                  const std::map<std::string, std::string>* index);

  std::string directory_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, const StoredTensor*, std::less<>> tensors_;
  size_t total_bytes_ = 0;
};

}  // namespace fathom::models
