// What tokens are drawn with, as the chip reads it (fathom_sample_args): laid out once a step in
// the host's memory and copied to the chip's at once. Room for it is planned beforehand: a list of
// seen tokens is as long as a sequence has different ones, so a step's lists may be longer than
// that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/step/staging.h"
#include "ops/ops.h"

namespace fathom::models::deepseek_v3 {

class DrawLists {
 public:
  // Of the lists, for each draw, on average: 2048 tokens that were seen or have a bias.
  static constexpr size_t kListBytes = size_t{16} << 10;

  static size_t max_bytes(int64_t max_draws, int64_t vocab_size);

  DrawLists() = default;
  // In device memory of max_bytes().
  static Result<DrawLists> make(device::Device& device, void* memory, int64_t max_draws,
                                int64_t vocab_size);

  // Lays draws out and queues their copy; nullopt where there is no room for their lists. The chip
  // must be done with those before.
  Result<std::optional<ops::Sample>> upload(const StepDraws& draws);

 private:
  // Entries of lists, which stand at multiples of 8 bytes behind each other: a list's begin is
  // counted from the first of them, whatever its kind.
  template <typename Entry>
  Entry* take(size_t count, int32_t& begin);
  bool add(size_t index, const sampling::Draw& draw, int32_t row);
  bool add_seen(const sampling::Draw& draw, const sampling::Terms& terms, fathom_draw& to);
  bool add_biases(const sampling::Draw& draw, fathom_draw& to);
  bool add_banned(const sampling::Draw& draw, fathom_draw& to);
  size_t write_masks(const StepDraws& draws);

  template <typename T>
  T* host(size_t offset) const {
    return reinterpret_cast<T*>(staging_.host(memory_) + offset);
  }

  std::byte* memory_ = nullptr;
  Staging staging_;
  int64_t max_draws_ = 0;
  int64_t vocab_size_ = 0;
  size_t lists_ = 0;  // where they begin and end, in bytes
  size_t used_ = 0;
  std::vector<int32_t> counts_;  // [vocab], zero between calls
};

}  // namespace fathom::models::deepseek_v3
