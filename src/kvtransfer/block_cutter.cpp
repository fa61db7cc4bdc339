#include "kvtransfer/block_cutter.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "models/number_formats.h"
#include "models/simd_clones.h"

namespace fathom::kvtransfer {
namespace {

FATHOM_SIMD_CLONES void narrow_numbers(const std::byte* in, size_t count, std::byte* out) {
  for (size_t i = 0; i < count; ++i) {
    float wide;
    std::memcpy(&wide, in + i * sizeof(wide), sizeof(wide));
    const uint16_t narrow = models::f32_to_bf16(wide);
    std::memcpy(out + i * sizeof(narrow), &narrow, sizeof(narrow));
  }
}

FATHOM_SIMD_CLONES void widen_numbers(const std::byte* in, size_t count, std::byte* out) {
  for (size_t i = 0; i < count; ++i) {
    uint16_t narrow;
    std::memcpy(&narrow, in + i * sizeof(narrow), sizeof(narrow));
    const float wide = models::bf16_to_f32(narrow);
    std::memcpy(out + i * sizeof(wide), &wide, sizeof(wide));
  }
}

}  // namespace

models::KvBlockFormat wire_format(const models::KvBlockFormat& prefill,
                                  const models::KvBlockFormat& decode) {
  models::KvBlockFormat wire = decode;
  if (prefill.dtype == FATHOM_BF16) wire.dtype = FATHOM_BF16;
  return wire;
}

void convert_numbers(std::span<const std::byte> in, fathom_dtype from, std::span<std::byte> out,
                     fathom_dtype to) {
  const size_t count = in.size() / device::dtype_size(from);
  FATHOM_CHECK(out.size() == count * device::dtype_size(to), "kv numbers: expected as many");
  if (from == to) {
    std::memcpy(out.data(), in.data(), in.size());
  } else if (from == FATHOM_F32) {
    narrow_numbers(in.data(), count, out.data());
  } else {
    widen_numbers(in.data(), count, out.data());
  }
}

BlockCutter::BlockCutter(const models::KvBlockFormat& from, const models::KvBlockFormat& to,
                         int64_t first, int64_t count)
    : from_(from),
      to_(to),
      begin_(first * to.block_size),
      end_((first + count) * to.block_size),
      next_(begin_) {}

int64_t BlockCutter::first_needed() const {
  return begin_ / from_.block_size;
}

int64_t BlockCutter::whole_before(int64_t end) const {
  return (std::clamp(end * from_.block_size, begin_, end_) - begin_) / to_.block_size;
}

std::vector<engine::KvBlocks> BlockCutter::add(engine::KvBlocks blocks) {
  std::vector<engine::KvBlocks> whole;
  if (from_ == to_) {
    whole.push_back(std::move(blocks));
    return whole;
  }
  const size_t bytes = models::kv_block_bytes(from_);
  for (int64_t i = 0; i < blocks.count; ++i) {
    const auto block = std::span(blocks.bytes).subspan(static_cast<size_t>(i) * bytes, bytes);
    add_tokens(block, (blocks.first + i) * from_.block_size, whole);
  }
  return whole;
}

// A block whose first token is `begin`.
void BlockCutter::add_tokens(std::span<const std::byte> block, int64_t begin,
                             std::vector<engine::KvBlocks>& whole) {
  FATHOM_CHECK(begin <= next_, "kv blocks: expected one behind the other");
  const int64_t end = std::min(begin + from_.block_size, end_);
  while (next_ < end) {
    const int64_t room = to_.block_size - next_ % to_.block_size;
    const int64_t count = std::min(end - next_, room);
    block_.resize(models::kv_block_bytes(to_));
    copy_tokens(block, next_ - begin, count);
    next_ += count;
    if (count < room) return;
    if (whole.empty() || whole.back().count == models::kMaxKvBlocksACall) {
      whole.push_back({.first = next_ / to_.block_size - 1, .count = 0, .bytes = {}});
    }
    engine::KvBlocks& last = whole.back();
    ++last.count;
    last.bytes.insert(last.bytes.end(), block_.begin(), block_.end());
  }
}

// `count` tokens of every layer, from `token` of the block on, to where the next one goes.
void BlockCutter::copy_tokens(std::span<const std::byte> block, int64_t token, int64_t count) {
  const auto bytes = [&](int64_t tokens, const models::KvBlockFormat& format) {
    return static_cast<size_t>(tokens * format.latent) * device::dtype_size(format.dtype);
  };
  const int64_t at = next_ % to_.block_size;
  for (int64_t layer = 0; layer < to_.layers; ++layer) {
    const size_t from = bytes(layer * from_.block_size + token, from_);
    const size_t to = bytes(layer * to_.block_size + at, to_);
    convert_numbers(block.subspan(from, bytes(count, from_)), from_.dtype,
                    std::span(block_).subspan(to, bytes(count, to_)), to_.dtype);
  }
}

}  // namespace fathom::kvtransfer
