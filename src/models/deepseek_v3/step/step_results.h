// What the host gets of a step: the tokens that were drawn and the rows of logits that it reads, in
// pinned memory, and the point behind which they are there.
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/step/staging.h"

namespace fathom::models::deepseek_v3 {

class StepResults {
 public:
  StepResults() = default;
  // Of tokens in `drawn`, and of `logits` [L, columns], all on the device. `device` must outlive
  // it.
  static Result<StepResults> make(device::Device& device, int32_t* drawn,
                                  const device::Tensor& logits);

  // From now on there are `count` tokens. The host may write them before put_tokens().
  std::span<int32_t> expect_tokens(size_t count);
  // Queued: they come to the host, or go to the chip.
  Status fetch_tokens() { return tokens_.fetch(drawn_, token_count_ * sizeof(*drawn_)); }
  Status put_tokens() { return tokens_.put(drawn_, token_count_ * sizeof(*drawn_)); }
  // Queued: rows of logits, in the given order, take the place of those that were fetched before.
  Status fetch_logits(std::span<const int32_t> rows);
  Status fetch_logits(int64_t first, int64_t count);

  // The point behind all that was fetched. What is queued later is not waited for.
  Status mark();
  Status wait();

  std::span<const int32_t> tokens() const { return {tokens_.host(drawn_), token_count_}; }
  // [rows fetched, columns]
  std::span<const float> logits() const { return {rows_, row_count_ * columns()}; }
  std::span<const float> row(size_t i) const { return logits().subspan(i * columns(), columns()); }

 private:
  size_t columns() const { return static_cast<size_t>(logits_.shape[1]); }
  const float* logits_from(int64_t row) const;
  Status copy_rows(int64_t first, size_t count);

  device::Device* device_ = nullptr;
  int32_t* drawn_ = nullptr;
  device::Tensor logits_ = {};
  Staging tokens_;
  device::HostBuffer copied_rows_;
  device::Event fetched_;
  size_t token_count_ = 0;
  const float* rows_ = nullptr;
  size_t row_count_ = 0;
};

}  // namespace fathom::models::deepseek_v3
