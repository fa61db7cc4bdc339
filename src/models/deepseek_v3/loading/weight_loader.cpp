#include "models/deepseek_v3/loading/weight_loader.h"

#include <atomic>
#include <mutex>
#include <optional>

#include "models/parallel_jobs.h"
#include "models/quantize/requantize.h"

namespace fathom::models::deepseek_v3 {
namespace {

// The operator whose own layout a matrix may take. The embedding is looked up by row, and wkv_b is
// read by two operators: both stay in rows.
std::optional<fathom_op> packing_op(WeightUse use) {
  switch (use) {
    case WeightUse::kRouter:
    case WeightUse::kLinear:
    case WeightUse::kHead:
      return FATHOM_OP_LINEAR;
    case WeightUse::kExpert:
      return FATHOM_OP_MOE_EXPERTS;
    case WeightUse::kEmbedding:
    case WeightUse::kAttention:
      break;
  }
  return std::nullopt;
}

bool is_aligned(const Weight& weight) {
  const auto dtype = static_cast<fathom_dtype>(weight.dtype);
  const size_t alignment = dtype == FATHOM_I4 ? 1 : device::dtype_size(dtype);
  return reinterpret_cast<uintptr_t>(weight.data) % alignment == 0;
}

// One tensor's way onto the device.
struct Plan {
  TensorSpec spec;
  Weight stored = {};        // as the source has it
  Weight format = {};        // as it will be, in rows
  bool keeps_bytes = false;  // both are the same and the source has them, aligned
  bool in_place = false;
  size_t pack_bytes = 0;   // 0: it stays in rows
  void* memory = nullptr;  // in the arena, for packed ones and vectors
  WeightOut rows = {};     // in the arena, for others
  Weight loaded = {};      // the result, of a matrix
};

class Loader {
 public:
  Loader(const TensorSource& source, device::Device& device, const LoadOptions& options)
      : source_(source), device_(device), options_(options) {}

  Result<LoadedTensors> load(const std::vector<TensorSpec>& tensors);

 private:
  Result<Plan> plan(const TensorSpec& spec);
  void take_memory(Plan& plan, device::Arena& arena) const;
  static void point_at_rows(Plan& plan);
  size_t arena_bytes(const Plan& plan) const;

  Status load_one(Plan& plan);
  Status load_vector(const Plan& plan);
  Status load_in_place(Plan& plan);
  Status load_packed(Plan& plan);
  Status load_rows(Plan& plan);
  Status fill(const Plan& plan, const WeightOut& out);
  Status copy(void* to, const void* from, size_t bytes);

  const TensorSource& source_;
  device::Device& device_;
  const LoadOptions& options_;
  std::mutex device_mutex_;  // the device's stream takes one caller at a time
  std::atomic<size_t> done_bytes_ = 0;
  size_t total_bytes_ = 0;
};

Result<Plan> Loader::plan(const TensorSpec& spec) {
  Plan plan;
  plan.spec = spec;
  if (spec.is_vector()) return plan;
  FATHOM_ASSIGN(plan.stored, source_.matrix(spec.name, spec.n, spec.k));
  plan.format = choose_format(options_.format, spec.use, plan.stored);
  plan.keeps_bytes = plan.format.dtype == plan.stored.dtype && plan.stored.data != nullptr &&
                     is_aligned(plan.stored);
  if (const auto op = packing_op(spec.use); op && !device_.ignores_weights()) {
    FATHOM_ASSIGN(plan.pack_bytes, device_.pack_bytes(*op, plan.format));
  }
  plan.in_place = plan.keeps_bytes && plan.pack_bytes == 0 && device_.host_memory() &&
                  !device_.ignores_weights();
  total_bytes_ += weight_bytes(plan.stored);
  return plan;
}

size_t Loader::arena_bytes(const Plan& plan) const {
  const auto padded = [&](size_t bytes) {
    return device::Arena::padded(bytes, device_.info().alignment);
  };
  if (plan.spec.is_vector()) return padded(static_cast<size_t>(plan.spec.n) * sizeof(float));
  if (plan.in_place) return 0;
  if (plan.pack_bytes > 0) return padded(plan.pack_bytes);
  return padded(data_bytes(plan.format)) + padded(scale_bytes(plan.format));
}

void Loader::take_memory(Plan& plan, device::Arena& arena) const {
  if (plan.spec.is_vector()) {
    plan.memory = arena.take(static_cast<size_t>(plan.spec.n) * sizeof(float));
  } else if (plan.pack_bytes > 0) {
    plan.memory = arena.take(plan.pack_bytes);
  } else if (!plan.in_place) {
    plan.rows = {plan.format, static_cast<std::byte*>(arena.take(data_bytes(plan.format))),
                 static_cast<float*>(arena.take(scale_bytes(plan.format)))};
  }
}

Status Loader::copy(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return {};  // the scales of a format that has none
  const std::lock_guard lock(device_mutex_);
  FATHOM_TRY(device_.copy_to_device(to, from, bytes));
  return device_.synchronize();  // the caller's memory ends
}

// Writes the matrix in rows.
Status Loader::fill(const Plan& plan, const WeightOut& out) {
  return requantize(source_, plan.spec.name, plan.stored, out, options_.report);
}

Status Loader::load_vector(const Plan& plan) {
  FATHOM_ASSIGN(const std::vector<float> values, source_.vector(plan.spec.name, plan.spec.n));
  return copy(plan.memory, values.data(), values.size() * sizeof(float));
}

Status Loader::load_in_place(Plan& plan) {
  plan.loaded = plan.stored;
  FATHOM_ASSIGN(plan.loaded.data, device_.map_host(plan.stored.data, data_bytes(plan.stored)));
  if (plan.stored.scale == nullptr) return {};
  const void* scale = nullptr;
  FATHOM_ASSIGN(scale, device_.map_host(plan.stored.scale, scale_bytes(plan.stored)));
  plan.loaded.scale = static_cast<const float*>(scale);
  return {};
}

Status Loader::load_packed(Plan& plan) {
  const fathom_op op = *packing_op(plan.spec.use);
  if (plan.keeps_bytes) {
    FATHOM_ASSIGN(plan.loaded, device_.pack(op, plan.stored, plan.memory));
    return {};
  }
  const HostRows rows(plan.format);
  FATHOM_TRY(fill(plan, rows.out));
  FATHOM_ASSIGN(plan.loaded, device_.pack(op, rows.weight(), plan.memory));
  return {};
}

void Loader::point_at_rows(Plan& plan) {
  plan.loaded = plan.format;
  plan.loaded.data = plan.rows.data;
  plan.loaded.scale = plan.format.block_n == 0 ? nullptr : plan.rows.scale;
}

Status Loader::load_rows(Plan& plan) {
  point_at_rows(plan);
  if (device_.host_memory()) return fill(plan, plan.rows);
  const HostRows rows(plan.format);
  FATHOM_TRY(fill(plan, rows.out));
  FATHOM_TRY(copy(plan.rows.data, rows.data.get(), data_bytes(plan.format)));
  return copy(plan.rows.scale, rows.scale.get(), scale_bytes(plan.format));
}

Status Loader::load_one(Plan& plan) {
  if (device_.ignores_weights()) {
    point_at_rows(plan);
    return {};
  }
  if (plan.spec.is_vector()) return load_vector(plan);
  if (plan.stored.data != nullptr) FATHOM_TRY(source_.check(plan.spec.name, plan.stored));
  if (plan.in_place) {
    FATHOM_TRY(load_in_place(plan));
  } else {
    FATHOM_TRY(plan.pack_bytes > 0 ? load_packed(plan) : load_rows(plan));
    source_.release(plan.spec.name);
  }
  done_bytes_ += weight_bytes(plan.stored);
  return {};
}

Result<LoadedTensors> Loader::load(const std::vector<TensorSpec>& tensors) {
  std::vector<Plan> plans;
  size_t bytes = 0;
  for (const auto& spec : tensors) {
    FATHOM_ASSIGN(Plan one, plan(spec));
    bytes += arena_bytes(one);
    plans.push_back(std::move(one));
  }
  LoadedTensors loaded;
  FATHOM_ASSIGN(loaded.arena, device_.alloc_arena(bytes, "weights"));
  loaded.bytes = bytes;
  for (auto& one : plans) take_memory(one, loaded.arena);

  FATHOM_TRY(run_jobs(
      plans.size(), options_.threads, [&](size_t i) { return load_one(plans[i]); },
      [&] {
        if (options_.progress) options_.progress(done_bytes_, total_bytes_);
      }));
  for (const auto& one : plans) {
    if (one.spec.is_vector()) {
      loaded.vectors.emplace(one.spec.name, static_cast<const float*>(one.memory));
    } else {
      loaded.matrices.emplace(one.spec.name, one.loaded);
      if (one.in_place) loaded.bytes += weight_bytes(one.stored);
    }
  }
  return loaded;
}

}  // namespace

Result<LoadedTensors> load_tensors(const TensorSource& source,
                                   const std::vector<TensorSpec>& tensors, device::Device& device,
                                   const LoadOptions& options) {
  return Loader(source, device, options).load(tensors);
}

}  // namespace fathom::models::deepseek_v3
