#include "models/deepseek_v3/step/step_results.h"

#include "base/check.h"

namespace fathom::models::deepseek_v3 {
namespace {

// How many of `rows` follow each other from the one at `begin` on.
size_t run_length(std::span<const int32_t> rows, size_t begin) {
  size_t end = begin + 1;
  while (end < rows.size() && rows[end] == rows[end - 1] + 1) ++end;
  return end - begin;
}

}  // namespace

Result<StepResults> StepResults::make(device::Device& device, int32_t* drawn,
                                      const device::Tensor& logits) {
  StepResults results;
  results.device_ = &device;
  results.drawn_ = drawn;
  results.logits_ = logits;
  const auto rows = static_cast<size_t>(logits.shape[0]);
  FATHOM_ASSIGN(results.tokens_, Staging::make(device, rows * sizeof(int32_t)));
  FATHOM_ASSIGN(results.copied_rows_, device.alloc_host(rows * results.columns() * sizeof(float)));
  FATHOM_ASSIGN(results.fetched_, device.create_event());
  return results;
}

std::span<int32_t> StepResults::expect_tokens(size_t count) {
  token_count_ = count;
  return {tokens_.host(drawn_), count};
}

Status StepResults::fetch_logits(std::span<const int32_t> rows) {
  if (rows.empty()) return fetch_logits(0, 0);
  if (run_length(rows, 0) == rows.size()) {
    return fetch_logits(rows[0], static_cast<int64_t>(rows.size()));
  }
  row_count_ = 0;
  for (size_t i = 0; i < rows.size(); i += run_length(rows, i)) {
    FATHOM_TRY(copy_rows(rows[i], run_length(rows, i)));
  }
  return {};
}

Status StepResults::fetch_logits(int64_t first, int64_t count) {
  row_count_ = 0;
  if (!Staging::is_in_place(*device_)) return copy_rows(first, static_cast<size_t>(count));
  rows_ = logits_from(first);
  row_count_ = static_cast<size_t>(count);
  return {};
}

const float* StepResults::logits_from(int64_t row) const {
  return static_cast<const float*>(logits_.data) + static_cast<size_t>(row) * columns();
}

// Rows [first, first + count), behind those that were copied.
Status StepResults::copy_rows(int64_t first, size_t count) {
  FATHOM_CHECK(row_count_ + count <= static_cast<size_t>(logits_.shape[0]),
               "step: expected rows of logits that it has");
  rows_ = static_cast<const float*>(copied_rows_.data());
  auto* to = static_cast<float*>(copied_rows_.data()) + row_count_ * columns();
  row_count_ += count;
  return device_->copy_to_host(to, logits_from(first), count * columns() * sizeof(float));
}

Status StepResults::mark() {
  return device_->record(fetched_);
}

Status StepResults::wait() {
  return device_->wait_for(fetched_);
}

}  // namespace fathom::models::deepseek_v3
