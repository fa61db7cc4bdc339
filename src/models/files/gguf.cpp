#include "models/files/gguf.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>

namespace fathom::models {

using nlohmann::json;

namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kVersion = 3;
constexpr uint64_t kMaxEntries = 1'000'000;  // of key-value pairs, and of tensors
constexpr int64_t kMaxSize = int64_t{1} << 40;

// Types of values, as the format numbers them.
enum ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

Error corrupt_gguf(const std::string& file, const std::string& what) {
  return {ErrorCode::kDataCorrupt, file + ": " + what, file};
}

// Reads front to back and never beyond the end: after a failure everything is 0 and empty.
class Cursor {
 public:
  Cursor(const std::byte* data, size_t size) : data_(data), size_(size) {}

  template <typename T>
  T number() {
    T value = {};
    if (take(sizeof(T))) std::memcpy(&value, data_ + at_ - sizeof(T), sizeof(T));
    return value;
  }
  std::string text() {
    const auto length = number<uint64_t>();
    if (!take(length)) return {};
    return {reinterpret_cast<const char*>(data_ + at_ - length), length};
  }
  uint64_t at() const { return at_; }
  uint64_t left() const { return size_ - at_; }
  bool failed() const { return failed_; }
  void fail() { failed_ = true; }

 private:
  bool take(uint64_t bytes) {
    if (failed_ || bytes > left()) {
      failed_ = true;
      return false;
    }
    at_ += bytes;
    return true;
  }

  const std::byte* data_;
  uint64_t size_;
  uint64_t at_ = 0;
  bool failed_ = false;
};

json read_scalar(Cursor& in, uint32_t type) {
  switch (type) {
    case kU8:
      return in.number<uint8_t>();
    case kI8:
      return in.number<int8_t>();
    case kU16:
      return in.number<uint16_t>();
    case kI16:
      return in.number<int16_t>();
    case kU32:
      return in.number<uint32_t>();
    case kI32:
      return in.number<int32_t>();
    case kF32:
      return in.number<float>();
    case kBool:
      return in.number<uint8_t>() != 0;
    case kString:
      return in.text();
    case kU64:
      return in.number<uint64_t>();
    case kI64:
      return in.number<int64_t>();
    case kF64:
      return in.number<double>();
    default:
      in.fail();
      return nullptr;
  }
}

// An array holds scalars; arrays of arrays are refused.
json read_value(Cursor& in) {
  const auto type = in.number<uint32_t>();
  if (type != kArray) return read_scalar(in, type);
  const auto element = in.number<uint32_t>();
  const auto count = in.number<uint64_t>();
  if (count > in.left()) in.fail();  // an element takes a byte at least
  json array = json::array();
  for (uint64_t i = 0; i < count && !in.failed(); ++i) array.push_back(read_scalar(in, element));
  return array;
}

std::string shown(const std::string& name) {
  return json(name.substr(0, 80)).dump(-1, ' ', true, json::error_handler_t::replace);
}

struct TensorEntry {
  GgufTensor tensor;
  uint64_t offset = 0;
};

Result<TensorEntry> read_tensor(const std::string& file, Cursor& in) {
  TensorEntry entry;
  entry.tensor.name = in.text();
  const auto wrong = [&](const std::string& what) {
    return corrupt_gguf(file, fmt::format("tensor {}: {}", shown(entry.tensor.name), what));
  };
  const auto rank = in.number<uint32_t>();
  if (rank < 1 || rank > 4) return wrong(fmt::format("expected 1 to 4 dimensions, got {}", rank));
  uint64_t count = 1;
  for (uint32_t i = 0; i < rank; ++i) {
    const auto size = in.number<uint64_t>();
    if (size < 1 || size > uint64_t{kMaxSize} || __builtin_mul_overflow(count, size, &count) ||
        count > uint64_t{1} << 50) {
      return wrong(fmt::format("expected sizes that a file can hold, got {}", size));
    }
    entry.tensor.shape.push_back(static_cast<int64_t>(size));
  }
  const auto number = in.number<uint32_t>();
  entry.offset = in.number<uint64_t>();
  if (in.failed())
    return corrupt_gguf(file, "ends within its list of tensors; it may be truncated");
  const auto type = ggml_type(number);
  if (!type) {
    return wrong(fmt::format(
        "expected type F32, F16, BF16, Q8_0, Q4_0, Q4_K or Q6_K, got number {}", number));
  }
  entry.tensor.type = *type;
  if (entry.tensor.columns() % ggml_block(*type).values != 0) {
    return wrong(fmt::format("expected rows of whole blocks of {}, got {} columns",
                             ggml_block(*type).values, entry.tensor.columns()));
  }
  entry.tensor.bytes = static_cast<size_t>(ggml_bytes(*type, static_cast<int64_t>(count)));
  return entry;
}

Result<uint64_t> alignment_of(const std::string& file, const json* value) {
  if (value == nullptr) return GgufHeader::kAlignment;
  const bool number = value->is_number_unsigned();
  const uint64_t alignment = number ? value->get<uint64_t>() : 0;
  if (!std::has_single_bit(alignment) || alignment > (1u << 20)) {
    return corrupt_gguf(file, "general.alignment: expected a power of two up to 2^20, got " +
                                  value->dump(-1, ' ', true, json::error_handler_t::replace));
  }
  return alignment;
}

template <typename T>
void append(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_text(std::string& to, std::string_view text) {
  append(to, static_cast<uint64_t>(text.size()));
  to += text;
}

uint64_t padded(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

}  // namespace

int64_t GgufTensor::rows() const {
  int64_t rows = 1;
  for (size_t i = 1; i < shape.size(); ++i) rows *= shape[i];
  return rows;
}

Result<std::unique_ptr<GgufFile>> GgufFile::open(const std::filesystem::path& path) {
  const std::string name = path.string();
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return Error{ErrorCode::kNotFound, name + ": " + std::strerror(errno), name};
  auto file = std::unique_ptr<GgufFile>(new GgufFile(name));
  struct stat status = {};
  const bool regular = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  if (regular && status.st_size > 0) {
    file->size_ = static_cast<size_t>(status.st_size);
    void* mapping = mmap(nullptr, file->size_, PROT_READ, MAP_SHARED, descriptor, 0);
    if (mapping != MAP_FAILED) file->mapping_ = static_cast<std::byte*>(mapping);
  }
  ::close(descriptor);
  if (file->mapping_ == nullptr) return corrupt_gguf(name, "expected a GGUF file");
  FATHOM_TRY(file->parse());
  return file;
}

GgufFile::~GgufFile() {
  if (mapping_ != nullptr) munmap(mapping_, size_);
}

Status GgufFile::parse() {
  static_assert(std::endian::native == std::endian::little, "GGUF data is little-endian");
  Cursor in(mapping_, size_);
  const auto magic = in.number<uint32_t>();
  const auto version = in.number<uint32_t>();
  if (std::memcmp(&magic, kMagic.data(), sizeof(magic)) != 0) {
    return corrupt_gguf(path_, "expected a GGUF file, which begins with \"GGUF\"");
  }
  if (version != 2 && version != kVersion) {
    return corrupt_gguf(path_, fmt::format("expected version 2 or 3, got {}", version));
  }
  const auto num_tensors = in.number<uint64_t>();
  const auto num_values = in.number<uint64_t>();
  if (in.failed()) return corrupt_gguf(path_, "ends within its header; it may be truncated");
  if (num_tensors > kMaxEntries || num_values > kMaxEntries) {
    return corrupt_gguf(path_, fmt::format("expected at most {} tensors and values", kMaxEntries));
  }
  for (uint64_t i = 0; i < num_values; ++i) {
    const std::string key = in.text();
    json value = read_value(in);
    if (in.failed()) {
      return corrupt_gguf(path_,
                          fmt::format("key {}: expected a value, got the end of the file or an "
                                      "unknown type; it may be truncated",
                                      shown(key)));
    }
    values_[key] = std::move(value);
  }
  std::vector<TensorEntry> entries;
  for (uint64_t i = 0; i < num_tensors; ++i) {
    FATHOM_ASSIGN(TensorEntry entry, read_tensor(path_, in));
    entries.push_back(std::move(entry));
  }
  FATHOM_ASSIGN(const uint64_t alignment, alignment_of(path_, value("general.alignment")));
  const uint64_t data_begin = padded(in.at(), alignment);
  for (auto& [tensor, offset] : entries) {
    if (data_begin > size_ || offset > size_ - data_begin ||
        tensor.bytes > size_ - data_begin - offset) {
      return corrupt_gguf(path_,
                          fmt::format("tensor {}: expected its {} bytes inside the file; it may "
                                      "be truncated",
                                      shown(tensor.name), tensor.bytes));
    }
    tensor.data = mapping_ + data_begin + offset;
    const std::string name = tensor.name;
    if (!tensors_.emplace(name, std::move(tensor)).second) {
      return corrupt_gguf(path_, fmt::format("tensor {}: is stored twice", shown(name)));
    }
  }
  return {};
}

const json* GgufFile::value(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

const GgufTensor* GgufFile::tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

void GgufHeader::add(std::string_view key, uint32_t value) {
  append_text(values_, key);
  append(values_, uint32_t{kU32});
  append(values_, value);
  ++num_values_;
}

void GgufHeader::add(std::string_view key, float value) {
  append_text(values_, key);
  append(values_, uint32_t{kF32});
  append(values_, value);
  ++num_values_;
}

void GgufHeader::add(std::string_view key, bool value) {
  append_text(values_, key);
  append(values_, uint32_t{kBool});
  append(values_, static_cast<uint8_t>(value));
  ++num_values_;
}

void GgufHeader::add(std::string_view key, std::string_view value) {
  append_text(values_, key);
  append(values_, uint32_t{kString});
  append_text(values_, value);
  ++num_values_;
}

void GgufHeader::add(std::string_view key, const std::vector<std::string>& values) {
  append_text(values_, key);
  append(values_, uint32_t{kArray});
  append(values_, uint32_t{kString});
  append(values_, static_cast<uint64_t>(values.size()));
  for (const auto& value : values) append_text(values_, value);
  ++num_values_;
}

void GgufHeader::add(std::string_view key, const std::vector<int32_t>& values) {
  append_text(values_, key);
  append(values_, uint32_t{kArray});
  append(values_, uint32_t{kI32});
  append(values_, static_cast<uint64_t>(values.size()));
  for (const int32_t value : values) append(values_, value);
  ++num_values_;
}

uint64_t GgufHeader::add_tensor(std::string_view name, GgmlType type,
                                const std::vector<int64_t>& shape) {
  append_text(tensors_, name);
  append(tensors_, static_cast<uint32_t>(shape.size()));
  int64_t count = 1;
  for (const int64_t size : shape) {
    append(tensors_, static_cast<uint64_t>(size));
    count *= size;
  }
  append(tensors_, static_cast<uint32_t>(type));
  const uint64_t offset = data_bytes_;
  append(tensors_, offset);
  data_bytes_ = padded(offset + static_cast<uint64_t>(ggml_bytes(type, count)), kAlignment);
  ++num_tensors_;
  return offset;
}

std::string GgufHeader::bytes() const {
  std::string header(kMagic);
  append(header, kVersion);
  append(header, num_tensors_);
  append(header, num_values_);
  header += values_;
  header += tensors_;
  header.resize(padded(header.size(), kAlignment), '\0');
  return header;
}

}  // namespace fathom::models
