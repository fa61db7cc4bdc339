#include "models/deepseek_v3/gguf/gguf_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "models/deepseek_v3/gguf/gguf_config.h"
#include "models/deepseek_v3/gguf/gguf_names.h"
#include "models/files/output_file.h"
#include "models/parallel_jobs.h"

namespace fathom::models::deepseek_v3 {
namespace {

// llama.cpp's numbers for what a file mostly holds.
uint32_t file_type(GgmlType type) {
  switch (type) {
    case GgmlType::kF16:
      return 1;
    case GgmlType::kQ4_0:
      return 2;
    case GgmlType::kQ8_0:
      return 7;
    case GgmlType::kBF16:
      return 32;
    default:
      return 0;
  }
}

GgmlType choose_type(GgmlType type, WeightUse use, int64_t columns) {
  if (use == WeightUse::kRouter) return GgmlType::kF32;
  const bool bulk = use == WeightUse::kLinear || use == WeightUse::kExpert;
  if (type == GgmlType::kQ4_0 && !bulk) type = GgmlType::kQ8_0;
  return columns % ggml_block(type).values == 0 ? type : GgmlType::kBF16;
}

// Where rows of one type go in the file's data.
struct Target {
  GgmlType type = GgmlType::kF32;
  uint64_t offset = 0;
};

struct GgufPlan {
  TensorSpec spec;
  Weight stored = {};
  Target to;         // of kv_b: attn_k_b
  Target to_values;  // of kv_b: attn_v_b
  size_t bytes = 0;  // for progress
};

class GgufWriter {
 public:
  GgufWriter(const TensorSource& source, const Config& config, GgmlType type, GgufHeader header)
      : source_(source), config_(config), type_(type), header_(std::move(header)) {}

  Status plan() {
    for (const auto& spec : list_tensors(config_, source_)) {
      GgufPlan one;
      one.spec = spec;
      if (!spec.is_vector()) {
        FATHOM_ASSIGN(one.stored, source_.matrix(spec.name, spec.n, spec.k));
      }
      place(one);
      one.bytes = static_cast<size_t>(spec.n * std::max<int64_t>(spec.k, 1)) * sizeof(float);
      total_bytes_ += one.bytes;
      plans_.push_back(std::move(one));
    }
    return {};
  }

  Status write(const std::filesystem::path& path, const LoadOptions& options) {
    const std::string header = header_.bytes();
    data_begin_ = header.size();
    FATHOM_ASSIGN(const auto file, OutputFile::create(path, header.size() + header_.data_bytes()));
    file_ = &file;
    FATHOM_TRY(file.write(0, header.data(), header.size()));
    const auto write_one = [&](size_t i) -> Status {
      FATHOM_TRY(write_tensor(plans_[i]));
      source_.release(plans_[i].spec.name);
      done_bytes_ += plans_[i].bytes;
      return {};
    };
    return run_jobs(plans_.size(), options.threads, write_one, [&] {
      if (options.progress) options.progress(done_bytes_, total_bytes_);
    });
  }

 private:
  void place(GgufPlan& plan);
  Status write_tensor(const GgufPlan& plan) const;
  Status write_kv_b(const GgufPlan& plan) const;
  Status write_rows(const Target& target, int64_t columns, int64_t first_row, int64_t rows,
                    const float* values) const;

  const TensorSource& source_;
  const Config& config_;
  GgmlType type_;
  GgufHeader header_;
  std::map<std::string, uint64_t> experts_;  // offsets of tensors that hold all of a layer's
  std::vector<GgufPlan> plans_;
  const OutputFile* file_ = nullptr;
  uint64_t data_begin_ = 0;
  size_t total_bytes_ = 0;
  std::atomic<size_t> done_bytes_ = 0;
};

void GgufWriter::place(GgufPlan& plan) {
  const auto& spec = plan.spec;
  const auto where = gguf_place(spec.name);
  if (spec.is_vector()) {
    plan.to = {GgmlType::kF32, header_.add_tensor(where.tensor, GgmlType::kF32, {spec.n})};
    return;
  }
  if (is_kv_b(spec.name)) {
    const auto split = split_kv_b(spec.name);
    const int64_t heads = config_.num_attention_heads;
    const int64_t nope = config_.qk_nope_head_dim;
    plan.to.type = choose_type(type_, spec.use, nope);
    plan.to.offset = header_.add_tensor(split.k, plan.to.type, {nope, spec.k, heads});
    plan.to_values.type = choose_type(type_, spec.use, spec.k);
    plan.to_values.offset =
        header_.add_tensor(split.v, plan.to_values.type, {spec.k, config_.v_head_dim, heads});
    return;
  }
  plan.to.type = choose_type(type_, spec.use, spec.k);
  if (where.expert < 0) {
    plan.to.offset = header_.add_tensor(where.tensor, plan.to.type, {spec.k, spec.n});
    return;
  }
  if (!experts_.contains(where.tensor)) {
    experts_[where.tensor] =
        header_.add_tensor(where.tensor, plan.to.type, {spec.k, spec.n, config_.n_routed_experts});
  }
  const auto expert_bytes = static_cast<uint64_t>(ggml_bytes(plan.to.type, spec.n * spec.k));
  plan.to.offset = experts_[where.tensor] + static_cast<uint64_t>(where.expert) * expert_bytes;
}

// values [rows, columns] become rows from `first_row` of the target.
Status GgufWriter::write_rows(const Target& target, int64_t columns, int64_t first_row,
                              int64_t rows, const float* values) const {
  std::vector<std::byte> encoded(static_cast<size_t>(ggml_bytes(target.type, rows * columns)));
  encode_ggml(target.type, values, rows * columns, encoded.data());
  const auto skipped = static_cast<uint64_t>(ggml_bytes(target.type, first_row * columns));
  return file_->write(data_begin_ + target.offset + skipped, encoded.data(), encoded.size());
}

Status GgufWriter::write_tensor(const GgufPlan& plan) const {
  const auto& spec = plan.spec;
  if (spec.is_vector()) {
    FATHOM_ASSIGN(const auto values, source_.vector(spec.name, spec.n));
    return write_rows(plan.to, spec.n, 0, 1, values.data());
  }
  if (plan.stored.data != nullptr) FATHOM_TRY(source_.check(spec.name, plan.stored));
  if (is_kv_b(spec.name)) return write_kv_b(plan);
  // About a megabyte at a time.
  const int64_t unit = std::max<int64_t>(1, (int64_t{1} << 18) / spec.k);
  std::vector<float> values(static_cast<size_t>(std::min(unit, spec.n) * spec.k));
  for (int64_t begin = 0; begin < spec.n; begin += unit) {
    const int64_t count = std::min(unit, spec.n - begin);
    FATHOM_TRY(source_.read_rows(spec.name, plan.stored, begin, count, values.data()));
    FATHOM_TRY(write_rows(plan.to, spec.k, begin, count, values.data()));
  }
  return {};
}

// A head's rows: first nope of keys, which are stored transposed, then v of values.
Status GgufWriter::write_kv_b(const GgufPlan& plan) const {
  const int64_t nope = config_.qk_nope_head_dim;
  const int64_t v = config_.v_head_dim;
  const int64_t lora = plan.spec.k;
  std::vector<float> rows(static_cast<size_t>((nope + v) * lora));
  std::vector<float> keys(static_cast<size_t>(lora * nope));
  for (int64_t head = 0; head < config_.num_attention_heads; ++head) {
    FATHOM_TRY(
        source_.read_rows(plan.spec.name, plan.stored, head * (nope + v), nope + v, rows.data()));
    for (int64_t i = 0; i < nope; ++i) {
      for (int64_t j = 0; j < lora; ++j) {
        keys[static_cast<size_t>(j * nope + i)] = rows[static_cast<size_t>(i * lora + j)];
      }
    }
    FATHOM_TRY(write_rows(plan.to, nope, head * lora, lora, keys.data()));
    FATHOM_TRY(write_rows(plan.to_values, lora, head * v, v, rows.data() + nope * lora));
  }
  return {};
}

}  // namespace

Status write_gguf(const TensorSource& source, const Config& config, GgmlType type,
                  GgufHeader header, const std::filesystem::path& file,
                  const LoadOptions& options) {
  Config main_model = config;
  main_model.num_nextn_predict_layers = 0;
  FATHOM_TRY(add_gguf_config(main_model, header));
  header.add("general.file_type", file_type(type));
  header.add("general.quantization_version", uint32_t{2});
  GgufWriter writer(source, main_model, type, std::move(header));
  FATHOM_TRY(writer.plan());
  return writer.write(file, options);
}

}  // namespace fathom::models::deepseek_v3
