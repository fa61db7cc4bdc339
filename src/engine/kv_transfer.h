// The interfaces through which an engine sends the KV blocks of a prompt to another engine and
// receives them (docs/kv-transfer.md). src/kvtransfer implements the transport.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fathom::engine {

// Blocks [first, first + count) of a prompt, contiguous, in the model's kv_block_format(). At most
// kMaxKvBlocksACall. The unfilled rest of a partly filled block is stale memory and must not be
// exposed.
struct KvBlocks {
  int64_t first = 0;
  int64_t count = 0;
  std::vector<std::byte> bytes;
};

// Receives the blocks of a request's prompt as they are computed. Called on the engine's thread.
class KvSink {
 public:
  virtual ~KvSink() = default;
  // Whether there is room for kMaxKvBlocksACall more blocks; the engine keeps them until then.
  virtual bool ready() const = 0;
  virtual void take(KvBlocks blocks) = 0;
};

// Blocks [first_block, first_block + blocks) of a prompt, which an engine wants from another one.
// `tokens` are those of all blocks from 0 on, and one more.
struct KvWanted {
  std::vector<int32_t> tokens;
  std::string cache_salt;
  int64_t first_block = 0;
  int64_t blocks = 0;
};

// Why a transfer ended before all blocks arrived.
enum class KvFailure { kNoPeer, kLost, kSilent, kRefused, kDamaged, kSlow };
inline constexpr size_t kKvFailures = 6;
const char* to_string(KvFailure failure);

// Totals of one direction since the start.
struct KvTransferStats {
  uint64_t transfers = 0;  // complete ones
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  double seconds = 0;  // sum of the durations of complete transfers
  std::array<uint64_t, kKvFailures> failures = {};
};

// Receives fetched blocks. Called on the source's thread; must not block.
class KvReceiver {
 public:
  virtual ~KvReceiver() = default;
  virtual void came(uint64_t id, KvBlocks blocks) = 0;
  virtual void ended(uint64_t id) = 0;
};

// One or several other engines that compute prompts. Thread-safe and non-blocking.
class KvSource {
 public:
  virtual ~KvSource() = default;  // afterwards the receiver is not called

  virtual void start(KvReceiver& receiver) = 0;
  // Asks for blocks. They come in any order, some twice if a second engine had to be asked. Then
  // ended() is called exactly once, whether or not all blocks came. `id` must be new.
  virtual void fetch(uint64_t id, KvWanted wanted) = 0;
  // The receiver needs no more blocks of `id`; it still gets those already under way.
  virtual void cancel(uint64_t id) = 0;
  // The receiver has stored `count` blocks: that many more may come.
  virtual void taken(uint64_t id, int64_t count) = 0;

  virtual KvTransferStats stats() const = 0;
};

}  // namespace fathom::engine
