// How the KV blocks of a prompt leave an engine for another one, and how they come from one
// (docs/kv-transfer.md). What carries them is in src/kvtransfer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fathom::engine {

// Blocks [first, first + count) of a prompt, one behind the other, in the model's
// kv_block_format(). At most kMaxKvBlocksACall. Of a block that is filled in part the rest is
// whatever the memory held before, which is nobody's to see.
struct KvBlocks {
  int64_t first = 0;
  int64_t count = 0;
  std::vector<std::byte> bytes;
};

// Where the blocks of a request's prompt go as they are computed. Called on the engine's thread.
class KvSink {
 public:
  virtual ~KvSink() = default;
  // Whether there is room for kMaxKvBlocksACall more; the engine keeps them until there is.
  virtual bool ready() const = 0;
  virtual void take(KvBlocks blocks) = 0;
};

// What an engine would rather not compute itself: blocks [first_block, first_block + blocks) of a
// prompt. `tokens` are those of all blocks from 0 on and the one behind them.
struct KvWanted {
  std::vector<int32_t> tokens;
  std::string cache_salt;
  int64_t first_block = 0;
  int64_t blocks = 0;
};

// Why a transfer ended before all blocks were there.
enum class KvFailure { kNoPeer, kLost, kSilent, kRefused, kDamaged, kSlow };
inline constexpr size_t kKvFailures = 6;
const char* to_string(KvFailure failure);

// Totals since the start, of one direction.
struct KvTransferStats {
  uint64_t transfers = 0;  // that ended with all blocks
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  double seconds = 0;  // of these transfers, one after the other
  std::array<uint64_t, kKvFailures> failures = {};
};

// Who hears of what was fetched; called on the source's thread, must not block.
class KvReceiver {
 public:
  virtual ~KvReceiver() = default;
  virtual void came(uint64_t id, KvBlocks blocks) = 0;
  virtual void ended(uint64_t id) = 0;
};

// Another engine, or several, that compute prompts. Thread-safe; nothing here waits.
class KvSource {
 public:
  virtual ~KvSource() = default;  // the receiver is not called any more

  virtual void start(KvReceiver& receiver) = 0;
  // Asks for blocks. They come in any order, some of them twice where another engine had to be
  // asked; then ended() is called, once, whether or not all came. `id` must be new.
  virtual void fetch(uint64_t id, KvWanted wanted) = 0;
  // The receiver needs no more of it, and hears at most what is under way.
  virtual void cancel(uint64_t id) = 0;
  // `count` blocks that came are taken in: more may come.
  virtual void taken(uint64_t id, int64_t count) = 0;

  virtual KvTransferStats stats() const = 0;
};

}  // namespace fathom::engine
