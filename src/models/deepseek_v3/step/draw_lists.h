// What tokens are drawn with, as the chip reads it (fathom_sample_args): laid out once a step in
// the host's memory and copied to the chip's at once. Room for it is planned beforehand: a list of
// seen tokens is as long as a sequence has different ones, so a step's lists may be longer than
// that. Ranks are equal builds: what one lays out another can draw with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/step/staging.h"
#include "ops/ops.h"

namespace fathom::models::deepseek_v3 {

// Draws as they are laid out: their number, the draws, their lists, their masks.
struct LaidOutDraws {
  int64_t count = 0;
  int64_t masks_begin = 0;  // in bytes
  int64_t bytes = 0;        // of all
};

// As the operator takes those that are laid out at `memory`, the chip's or the host's.
ops::Sample sample_at(const std::byte* memory, const LaidOutDraws& draws);
// Whether what came from another rank can be drawn with: all numbers are within the memory, the
// step's `logit_rows` and the vocabulary. Error: kDataCorrupt.
Status check_draws(std::span<const std::byte> memory, const LaidOutDraws& draws, int64_t logit_rows,
                   int64_t vocab_size);

class DrawLayout {
 public:
  // Of the lists, for each draw, on average: 2048 tokens that were seen or have a bias.
  static constexpr size_t kListBytes = size_t{16} << 10;

  static size_t max_bytes(int64_t max_draws, int64_t vocab_size);

  DrawLayout() = default;
  DrawLayout(int64_t max_draws, int64_t vocab_size);

  // To memory of max_bytes(), aligned to 8 bytes; nullopt where there is no room for their lists.
  std::optional<LaidOutDraws> lay_out(const StepDraws& draws, std::byte* to);

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
    return reinterpret_cast<T*>(memory_ + offset);
  }

  std::byte* memory_ = nullptr;
  int64_t max_draws_ = 0;
  int64_t vocab_size_ = 0;
  size_t lists_ = 0;  // where they begin and end, in bytes
  size_t used_ = 0;
  std::vector<int32_t> counts_;  // [vocab], zero between calls
};

// In the chip's memory.
class DrawLists {
 public:
  DrawLists() = default;
  // In device memory of DrawLayout::max_bytes().
  static Result<DrawLists> make(device::Device& device, void* memory, int64_t max_draws,
                                int64_t vocab_size);

  // Lays draws out and queues their copy; nullopt where there is no room for their lists. The chip
  // must be done with those before.
  Result<std::optional<ops::Sample>> upload(const StepDraws& draws);
  // Likewise of draws that are laid out at host().
  Result<ops::Sample> upload(const LaidOutDraws& draws);
  std::byte* host() const { return staging_.host(memory_); }
  // Pinned memory that it takes.
  size_t host_bytes() const { return staging_.bytes(); }

 private:
  std::byte* memory_ = nullptr;
  Staging staging_;
  DrawLayout layout_;
};

}  // namespace fathom::models::deepseek_v3
