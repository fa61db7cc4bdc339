// GGUF files, version 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): read
// through a mapping, every length and offset checked; and what writing one takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/files/gguf_blocks.h"

namespace fathom::models {

struct GgufTensor {
  std::string name;
  GgmlType type = GgmlType::kF32;
  std::vector<int64_t> shape;  // columns first, as the file has it; 1 to 4 sizes
  const std::byte* data = nullptr;
  size_t bytes = 0;

  int64_t columns() const { return shape[0]; }
  int64_t rows() const;  // all of them, over the slower dimensions
};

class GgufFile {
 public:
  static Result<std::unique_ptr<GgufFile>> open(const std::filesystem::path& path);
  ~GgufFile();
  GgufFile(const GgufFile&) = delete;
  GgufFile& operator=(const GgufFile&) = delete;

  const std::string& path() const { return path_; }
  // Null where there is none.
  const nlohmann::json* value(const std::string& key) const;
  const GgufTensor* tensor(std::string_view name) const;
  const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }

 private:
  explicit GgufFile(std::string path) : path_(std::move(path)) {}
  Status parse();

  std::string path_;
  std::byte* mapping_ = nullptr;
  size_t size_ = 0;
  std::map<std::string, nlohmann::json> values_;
  std::map<std::string, GgufTensor, std::less<>> tensors_;
};

// The part of a GGUF file before its tensors' data.
class GgufHeader {
 public:
  static constexpr uint64_t kAlignment = 32;

  void add(std::string_view key, uint32_t value);
  void add(std::string_view key, float value);
  void add(std::string_view key, bool value);
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, const std::vector<std::string>& values);
  void add(std::string_view key, const std::vector<int32_t>& values);

  // Columns first. Returns the tensor's place in the data, whose size grows by it.
  uint64_t add_tensor(std::string_view name, GgmlType type, const std::vector<int64_t>& shape);

  // With padding, so that the data may follow.
  std::string bytes() const;
  uint64_t data_bytes() const { return data_bytes_; }

 private:
  std::string values_;
  std::string tensors_;
  uint64_t num_values_ = 0;
  uint64_t num_tensors_ = 0;
  uint64_t data_bytes_ = 0;
};

}  // namespace fathom::models
