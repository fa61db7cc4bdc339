#include "models/deepseek_v3/weights/checkpoint_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "models/files/output_file.h"
#include "models/parallel_jobs.h"
#include "models/quantize/requantize.h"

namespace fathom::models::deepseek_v3 {
namespace {

using nlohmann::json;

// One stored tensor: a vector, a matrix's data or its scales.
struct Entry {
  std::string name;
  std::string dtype;  // as safetensors names it
  std::vector<int64_t> shape;
  uint64_t bytes = 0;
  size_t alignment = 1;
  size_t shard = 0;
  uint64_t begin = 0;  // in the shard's data
};

struct Plan {
  TensorSpec spec;
  Weight stored = {};
  Weight format = {};
  Entry data;
  Entry scale;  // without a name where there are none
};

std::string safetensors_name(fathom_dtype dtype) {
  switch (dtype) {
    case FATHOM_BF16:
      return "BF16";
    case FATHOM_F8_E4M3:
      return "F8_E4M3";
    case FATHOM_I8:
      return "I8";
    case FATHOM_I4:
      return "U8";  // two a byte
    default:
      return "F32";
  }
}

Result<Plan> plan_tensor(const TensorSource& source, const TensorSpec& spec, WeightFormat format) {
  Plan plan;
  plan.spec = spec;
  if (spec.is_vector()) {
    plan.data = {spec.name, "F32", {spec.n}, static_cast<uint64_t>(spec.n) * 4, 4};
    return plan;
  }
  FATHOM_ASSIGN(plan.stored, source.matrix(spec.name, spec.n, spec.k));
  plan.format = choose_format(format, spec.use, plan.stored);
  const auto dtype = static_cast<fathom_dtype>(plan.format.dtype);
  const bool pairs = dtype == FATHOM_I4;
  plan.data = {spec.name,
               safetensors_name(dtype),
               {spec.n, pairs ? spec.k / 2 : spec.k},
               data_bytes(plan.format),
               pairs ? 1 : device::dtype_size(dtype)};
  if (const auto name = scale_name(spec.name, dtype); !name.empty()) {
    plan.scale = {name,
                  "F32",
                  {scale_rows(plan.format), scale_columns(plan.format)},
                  scale_bytes(plan.format),
                  4};
  }
  return plan;
}

// What lies in one file, the most aligned first: data without holes stays aligned so.
struct Shard {
  std::vector<Entry*> entries;
  uint64_t bytes = 0;
  std::string header;  // with its length in front
  std::string file_name;

  void lay_out() {
    std::ranges::stable_sort(entries, std::greater<>(), &Entry::alignment);
    json object = {{"__metadata__", {{"format", "pt"}}}};
    uint64_t begin = 0;
    for (Entry* entry : entries) {
      entry->begin = begin;
      begin += entry->bytes;
      object[entry->name] = {{"dtype", entry->dtype},
                             {"shape", entry->shape},
                             {"data_offsets", {entry->begin, begin}}};
    }
    header = object.dump();
    header.resize((header.size() + 8 + 63) / 64 * 64 - 8, ' ');
    const uint64_t length = header.size();
    header.insert(0, reinterpret_cast<const char*>(&length), sizeof(length));
  }
};

std::vector<Shard> plan_shards(std::vector<Plan>& plans, uint64_t limit) {
  std::vector<Shard> shards(1);
  for (auto& plan : plans) {
    const uint64_t bytes = plan.data.bytes + plan.scale.bytes;
    if (shards.back().bytes > 0 && shards.back().bytes + bytes > limit) shards.emplace_back();
    Shard& shard = shards.back();
    for (Entry* entry : {&plan.data, &plan.scale}) {
      if (entry->name.empty()) continue;
      entry->shard = shards.size() - 1;
      shard.entries.push_back(entry);
    }
    shard.bytes += bytes;
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].file_name = fmt::format("model-{:05}-of-{:06}.safetensors", i + 1, shards.size());
    shards[i].lay_out();
  }
  return shards;
}

Status write_index(const std::filesystem::path& directory, const std::vector<Shard>& shards) {
  json map = json::object();
  uint64_t bytes = 0;
  for (const auto& shard : shards) {
    bytes += shard.bytes;
    for (const Entry* entry : shard.entries) map[entry->name] = shard.file_name;
  }
  const auto path = directory / "model.safetensors.index.json";
  std::ofstream file(path);
  file << json({{"metadata", {{"total_size", bytes}}}, {"weight_map", map}}).dump(2) << '\n';
  file.close();
  if (!file) return Error{ErrorCode::kIo, path.string() + ": cannot be written", path.string()};
  return {};
}

class Writer {
 public:
  Writer(const TensorSource& source, const std::vector<Shard>& shards, const LoadOptions& options)
      : source_(source), shards_(shards), options_(options) {}

  Status create_files(const std::filesystem::path& directory) {
    for (const auto& shard : shards_) {
      FATHOM_ASSIGN(auto file, OutputFile::create(directory / shard.file_name,
                                                  shard.header.size() + shard.bytes));
      FATHOM_TRY(file.write(0, shard.header.data(), shard.header.size()));
      files_.push_back(std::move(file));
    }
    return {};
  }

  Status write_tensor(const Plan& plan) const {
    if (plan.spec.is_vector()) {
      FATHOM_ASSIGN(const auto values, source_.vector(plan.spec.name, plan.spec.n));
      return write(plan.data, values.data());
    }
    if (plan.stored.data != nullptr) FATHOM_TRY(source_.check(plan.spec.name, plan.stored));
    const HostRows rows(plan.format);
    FATHOM_TRY(requantize(source_, plan.spec.name, plan.stored, rows.out, options_.report));
    source_.release(plan.spec.name);
    FATHOM_TRY(write(plan.data, rows.data.get()));
    return plan.scale.name.empty() ? Status() : write(plan.scale, rows.scale.get());
  }

 private:
  Status write(const Entry& entry, const void* data) const {
    const uint64_t offset = shards_[entry.shard].header.size() + entry.begin;
    return files_[entry.shard].write(offset, data, entry.bytes);
  }

  const TensorSource& source_;
  const std::vector<Shard>& shards_;
  const LoadOptions& options_;
  std::vector<OutputFile> files_;
};

json quantization_of(const std::vector<Plan>& plans) {
  json fp8;
  bool int8 = false;
  bool int4 = false;
  for (const auto& plan : plans) {
    int8 |= plan.format.dtype == FATHOM_I8;
    int4 |= plan.format.dtype == FATHOM_I4;
    if (plan.format.dtype != FATHOM_F8_E4M3) continue;
    fp8 = {{"quant_method", "fp8"},
           {"fmt", "e4m3"},
           {"activation_scheme", "dynamic"},
           {"weight_block_size", {plan.format.block_n, plan.format.block_k}}};
  }
  if (int4) return {{"quant_method", "fathom"}, {"weights", "int4"}, {"group_size", kInt4Group}};
  if (int8) return {{"quant_method", "fathom"}, {"weights", "int8"}, {"group_size", kInt8Group}};
  return fp8;
}

}  // namespace

Result<json> write_checkpoint(const TensorSource& source, const std::vector<TensorSpec>& tensors,
                              const std::filesystem::path& directory, uint64_t shard_bytes,
                              const LoadOptions& options) {
  std::vector<Plan> plans;
  for (const auto& spec : tensors) {
    FATHOM_ASSIGN(Plan plan, plan_tensor(source, spec, options.format));
    plans.push_back(std::move(plan));
  }
  const auto shards = plan_shards(plans, shard_bytes);
  size_t total = 0;
  for (const auto& shard : shards) total += shard.bytes;
  std::atomic<size_t> done = 0;
  Writer writer(source, shards, options);
  FATHOM_TRY(writer.create_files(directory));
  const auto write_one = [&](size_t i) -> Status {
    FATHOM_TRY(writer.write_tensor(plans[i]));
    done += plans[i].data.bytes + plans[i].scale.bytes;
    return {};
  };
  FATHOM_TRY(run_jobs(plans.size(), options.threads, write_one, [&] {
    if (options.progress) options.progress(done, total);
  }));
  FATHOM_TRY(write_index(directory, shards));
  return quantization_of(plans);
}

}  // namespace fathom::models::deepseek_v3
