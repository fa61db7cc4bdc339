#include "models/files/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "base/json_file.h"
#include "device/tensor.h"

namespace fathom::models {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// The format's own limit on its header.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kMaxRank = 8;

Error corrupt(const std::string& file, const std::string& what, std::string tensor = {}) {
  const std::string name = tensor.empty() ? file : file + ": tensor " + tensor;
  return {ErrorCode::kDataCorrupt, name + ": " + what, std::move(tensor)};
}

std::optional<fathom_dtype> parse_dtype(const std::string& name) {
  if (name == "F32") return FATHOM_F32;
  if (name == "BF16") return FATHOM_BF16;
  if (name == "F16") return FATHOM_F16;
  if (name == "F8_E4M3") return FATHOM_F8_E4M3;
  if (name == "I8") return FATHOM_I8;
  if (name == "U8") return FATHOM_I4;
  if (name == "I32") return FATHOM_I32;
  if (name == "I64") return FATHOM_I64;
  return std::nullopt;
}

struct HeaderEntry {
  StoredTensor tensor;
  uint64_t begin = 0;
  uint64_t end = 0;
};

bool is_unsigned(const json& value) {
  return value.is_number_unsigned();
}

Status parse_shape(const std::string& file, const json& shape, HeaderEntry& entry) {
  const std::string& name = entry.tensor.name;
  if (!shape.is_array() || shape.size() > kMaxRank) {
    return corrupt(file, fmt::format("expected a shape of at most {} sizes", kMaxRank), name);
  }
  const bool pairs = entry.tensor.dtype == FATHOM_I4;
  uint64_t bytes = pairs ? 1 : device::dtype_size(entry.tensor.dtype);
  for (const auto& extent : shape) {
    if (!is_unsigned(extent) || extent.get<uint64_t>() > (uint64_t{1} << 40)) {
      return corrupt(file, "expected sizes from 0 to 2^40 in its shape, got " + extent.dump(),
                     name);
    }
    if (__builtin_mul_overflow(bytes, extent.get<uint64_t>(), &bytes)) {
      return corrupt(file, "its shape is larger than any file", name);
    }
    entry.tensor.shape.push_back(extent.get<int64_t>());
  }
  if (entry.end - entry.begin != bytes) {
    return corrupt(file,
                   fmt::format("expected {} bytes for its shape [{}] and type, got {}", bytes,
                               fmt::join(entry.tensor.shape, ", "), entry.end - entry.begin),
                   name);
  }
  if (pairs && !entry.tensor.shape.empty()) entry.tensor.shape.back() *= 2;
  entry.tensor.bytes = bytes;
  return {};
}

Result<HeaderEntry> parse_entry(const std::string& file, const std::string& name, const json& value,
                                uint64_t data_bytes) {
  HeaderEntry entry;
  entry.tensor.name = name;
  entry.tensor.file = file;
  if (!value.is_object()) return corrupt(file, "expected an object in the header", name);
  const auto dtype = value.find("dtype");
  if (dtype == value.end() || !dtype->is_string()) return corrupt(file, "has no dtype", name);
  const auto parsed = parse_dtype(dtype->get<std::string>());
  if (!parsed) {
    return corrupt(
        file, "expected dtype F32, BF16, F16, F8_E4M3, I8, U8, I32 or I64, got " + dtype->dump(),
        name);
  }
  entry.tensor.dtype = *parsed;
  const auto offsets = value.find("data_offsets");
  if (offsets == value.end() || !offsets->is_array() || offsets->size() != 2 ||
      !is_unsigned((*offsets)[0]) || !is_unsigned((*offsets)[1])) {
    return corrupt(file, "expected data_offsets [begin, end]", name);
  }
  entry.begin = (*offsets)[0].get<uint64_t>();
  entry.end = (*offsets)[1].get<uint64_t>();
  if (entry.begin > entry.end || entry.end > data_bytes) {
    return corrupt(file,
                   fmt::format("expected data inside the file's {} data bytes, got [{}, {}); the "
                               "file may be truncated",
                               data_bytes, entry.begin, entry.end),
                   name);
  }
  const auto shape = value.find("shape");
  if (shape == value.end()) return corrupt(file, "has no shape", name);
  FATHOM_TRY(parse_shape(file, *shape, entry));
  return entry;
}

// The format wants the data covered once, without holes.
Status check_layout(const std::string& file, std::vector<HeaderEntry>& entries,
                    uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const auto& entry : entries) {
    if (entry.begin < covered) {
      return corrupt(file, "its data overlaps another tensor's", entry.tensor.name);
    }
    if (entry.begin > covered) {
      return corrupt(file, fmt::format("expected its data at {}, got {}", covered, entry.begin),
                     entry.tensor.name);
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    return corrupt(file, fmt::format("expected {} data bytes, got {}", covered, data_bytes));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(const fs::path& path) {
  const std::string name = path.string();
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Error{ErrorCode::kNotFound, name + ": " + std::strerror(errno), name};
  }
  auto file = std::unique_ptr<SafetensorsFile>(new SafetensorsFile());
  struct stat status = {};
  const bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  if (regular && status.st_size >= 8) {
    file->size_ = static_cast<size_t>(status.st_size);
    void* mapping = mmap(nullptr, file->size_, PROT_READ, MAP_SHARED, fd, 0);
    if (mapping != MAP_FAILED) file->mapping_ = static_cast<std::byte*>(mapping);
  }
  ::close(fd);
  if (!regular) return corrupt(name, "expected a file");
  if (status.st_size < 8) return corrupt(name, "expected at least 8 bytes, the file is truncated");
  if (file->mapping_ == nullptr) return Error{ErrorCode::kIo, name + ": cannot be mapped", name};
  FATHOM_TRY(file->parse_header(name));
  return file;
}

SafetensorsFile::~SafetensorsFile() {
  if (mapping_ != nullptr) munmap(mapping_, size_);
}

Status SafetensorsFile::parse_header(const std::string& file) {
  static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, mapping_, sizeof(header_bytes));
  if (header_bytes > kMaxHeaderBytes || header_bytes > size_ - 8) {
    return corrupt(file, fmt::format("expected a header of at most {} bytes, got {}; the file may "
                                     "be truncated",
                                     std::min<uint64_t>(kMaxHeaderBytes, size_ - 8), header_bytes));
  }
  const char* text = reinterpret_cast<const char*>(mapping_) + 8;
  auto parsed = parse_json({text, header_bytes}, file + ": header");
  if (!parsed) return parsed.error();
  const json& header = *parsed;
  if (!header.is_object()) return corrupt(file, "expected a JSON object as header");

  const uint64_t data_bytes = size_ - 8 - header_bytes;
  const std::byte* data = mapping_ + 8 + header_bytes;
  std::vector<HeaderEntry> entries;
  entries.reserve(header.size());
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") continue;
    FATHOM_ASSIGN(HeaderEntry entry, parse_entry(file, name, value, data_bytes));
    entry.tensor.data = data + entry.begin;
    entries.push_back(std::move(entry));
  }
  FATHOM_TRY(check_layout(file, entries, data_bytes));
  tensors_.reserve(entries.size());
  for (auto& entry : entries) tensors_.push_back(std::move(entry.tensor));
  return {};
}

namespace {

// name -> file name, from model.safetensors.index.json.
Result<std::map<std::string, std::string>> read_index(const fs::path& path) {
  FATHOM_ASSIGN(const json index, read_json_file(path));
  const std::string file = path.string();
  const auto weight_map = index.is_object() ? index.find("weight_map") : index.end();
  if (!index.is_object() || weight_map == index.end() || !weight_map->is_object()) {
    return corrupt(file, "expected an object weight_map");
  }
  std::map<std::string, std::string> files;
  for (const auto& [name, value] : weight_map->items()) {
    if (!value.is_string()) return corrupt(file, "expected a file name", name);
    const auto shard = value.get<std::string>();
    // A shard lies beside its index: a path that leads elsewhere is not followed.
    if (shard.empty() || shard.find('/') != std::string::npos || shard == "." || shard == "..") {
      return corrupt(file, "expected a file name without a path, got " + value.dump(), name);
    }
    files.emplace(name, shard);
  }
  if (files.empty()) return corrupt(file, "expected tensors in weight_map, got none");
  return files;
}

}  // namespace

Status Checkpoint::add_file(const fs::path& path, const std::map<std::string, std::string>* index) {
  FATHOM_ASSIGN(auto file, SafetensorsFile::open(path));
  const std::string shard = path.filename().string();
  for (const auto& tensor : file->tensors()) {
    if (index != nullptr) {
      const auto listed = index->find(tensor.name);
      if (listed == index->end() || listed->second != shard) continue;
    }
    total_bytes_ += tensor.bytes;
    if (!tensors_.emplace(tensor.name, &tensor).second) {
      return corrupt(path.string(), "is stored twice", tensor.name);
    }
  }
  files_.push_back(std::move(file));
  return {};
}

Result<Checkpoint> Checkpoint::open(const fs::path& directory) {
  Checkpoint checkpoint;
  checkpoint.directory_ = directory.string();
  const fs::path index_path = directory / "model.safetensors.index.json";
  std::error_code ignored;
  if (!fs::exists(index_path, ignored)) {
    FATHOM_TRY(checkpoint.add_file(directory / "model.safetensors", nullptr));
    return checkpoint;
  }
  FATHOM_ASSIGN(const auto index, read_index(index_path));
  std::set<std::string> shards;
  for (const auto& [name, shard] : index) shards.insert(shard);
  for (const auto& shard : shards) FATHOM_TRY(checkpoint.add_file(directory / shard, &index));
  for (const auto& [name, shard] : index) {
    if (!checkpoint.contains(name)) {
      return corrupt((directory / shard).string(), "is in the index but not in this file", name);
    }
  }
  return checkpoint;
}

Result<const StoredTensor*> Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    return Error{ErrorCode::kNotFound, fmt::format("{}: tensor {}: is missing", directory_, name),
                 std::string(name)};
  }
  return found->second;
}

std::vector<const StoredTensor*> Checkpoint::tensors() const {
  std::vector<const StoredTensor*> all;
  for (const auto& [name, tensor] : tensors_) all.push_back(tensor);
  return all;
}

}  // namespace fathom::models
