#include "backends/emulated/shared_memory.h"

#include <algorithm>

namespace fathom::emulated {
namespace {

constexpr std::byte kNoNumber{0xff};  // NaN in F32, BF16 and E4M3; -1 as an integer
constexpr uint32_t kLatest = 1u << 31;

}  // namespace

SharedMemory::SharedMemory()
    : memory_(kSharedBytes), tags_(kSharedBytes / kGranule), last_warp_barrier_(kMostThreads) {}

void SharedMemory::begin_block(int bytes, int warp, bool checks_races) {
  bytes_ = bytes;
  warp_ = warp;
  checks_races_ = checks_races;
  std::fill_n(memory_.begin(), bytes, kNoNumber);
  if (now_ > kLatest) {
    std::fill(tags_.begin(), tags_.end(), Tag());
    std::fill(last_warp_barrier_.begin(), last_warp_barrier_.end(), 0);
    now_ = 0;
  }
  block_barrier();  // whatever the block before did lies behind
}

// Whether what thread `by` did then has happened for `thread`, by a barrier or because it is the
// same. What happens at a time comes behind the barrier of that time.
bool SharedMemory::is_before(uint32_t when, int by, int thread) const {
  if (when < last_block_barrier_ || by == thread) return true;
  return by / warp_ == thread / warp_ &&
         when < last_warp_barrier_[static_cast<size_t>(thread / warp_)];
}

// The same of all who read a granule. Of several of one warp the last one stands for all.
bool SharedMemory::are_reads_before(const Tag& tag, int thread) const {
  if (tag.read < last_block_barrier_) return true;
  if (tag.readers == Readers::kMany) return false;
  if (tag.readers == Readers::kOne) return is_before(tag.read, tag.reader, thread);
  return tag.reader / warp_ == thread / warp_ &&
         tag.read < last_warp_barrier_[static_cast<size_t>(thread / warp_)];
}

std::optional<int> SharedMemory::note_read(int thread, int byte, int bytes) {
  if (!checks_races_) return {};
  for (int i = byte / kGranule; i <= (byte + bytes - 1) / kGranule; ++i) {
    Tag& tag = tags_[static_cast<size_t>(i)];
    if (!is_before(tag.written, tag.writer, thread)) return tag.writer;
    if (are_reads_before(tag, thread)) {
      tag.readers = Readers::kOne;
    } else if (tag.reader / warp_ != thread / warp_) {
      tag.readers = Readers::kMany;
    } else if (tag.readers == Readers::kOne) {
      tag.readers = Readers::kWarp;
    }
    tag.reader = static_cast<uint16_t>(thread);
    tag.read = now_;
  }
  return {};
}

std::optional<int> SharedMemory::note_write(int thread, int byte, int bytes) {
  if (!checks_races_) return {};
  for (int i = byte / kGranule; i <= (byte + bytes - 1) / kGranule; ++i) {
    Tag& tag = tags_[static_cast<size_t>(i)];
    if (!is_before(tag.written, tag.writer, thread)) return tag.writer;
    if (!are_reads_before(tag, thread)) return tag.reader;
    tag.writer = static_cast<uint16_t>(thread);
    tag.written = now_;
  }
  return {};
}

}  // namespace fathom::emulated
