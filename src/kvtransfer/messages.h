// What engines say to each other about KV blocks (docs/kv-transfer.md has the layout). Numbers are
// little-endian, as they lie in memory here. Every message of a peer is checked: a wrong one is an
// error that says what was expected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sip_hash.h"
#include "engine/kv_transfer.h"
#include "models/causal_lm.h"

namespace fathom::kvtransfer {

using Bytes = std::vector<std::byte>;
using TransferId = uint64_t;  // chosen by the engine that asks

inline constexpr uint16_t kVersion = 1;
inline constexpr size_t kMaxSaltBytes = 4096;

enum class Kind : uint16_t {
  kHello = 1,    // both: what model, what blocks; the first message of either
  kRefusal = 2,  // the prefill engine: why it will not serve this peer
  kAsk = 3,      // the decode engine: the blocks of a prompt
  kBlocks = 4,   // the prefill engine: some of them
  kTaken = 5,    // the decode engine: how many it has taken in, so that more may come
  kEnd = 6,      // the prefill engine: nothing more comes, and why where not all did
  kCancel = 7,   // the decode engine: nothing more is wanted
  kAlive = 8,    // the prefill engine, twice a second
};

struct Head {
  Kind kind = Kind::kAlive;
  TransferId transfer = 0;
};

struct Hello {
  std::string model_hash;
  models::KvBlockFormat format;
  int64_t max_context = 0;  // longest prompt it computes
};

// The hashes of a prompt's blocks, each of the one before, and of the model's and the salt's
// before the first: equal hashes are equal prompts up to there.
std::vector<Hash128> prompt_chain(const std::string& model_hash, const std::string& salt,
                                  std::span<const int32_t> tokens, int64_t block_size);

Bytes write_hello(const Hello& hello);
Bytes write_text(Kind kind, TransferId transfer, const std::string& text);  // kRefusal, kEnd
Bytes write_ask(TransferId transfer, const engine::KvWanted& wanted);
Bytes write_blocks(TransferId transfer, const engine::KvBlocks& blocks, const Hash128& chain);
Bytes write_taken(TransferId transfer, int64_t count);
Bytes write_bare(Kind kind, TransferId transfer);  // kCancel, kAlive

// Longest message of either side that is in order.
size_t max_message_bytes(const models::KvBlockFormat& format, int64_t max_context);

Result<Head> read_head(std::span<const std::byte> message);
// What follows is for messages of a known kind.
Result<Hello> read_hello(std::span<const std::byte> message);
std::string read_text(std::span<const std::byte> message);  // printable, and not too long
// Tokens are counted, not looked at. `blocks` and `first_block` fit them.
Result<engine::KvWanted> read_ask(std::span<const std::byte> message, int64_t block_size,
                                  int64_t max_context);
// Blocks of a prompt whose prompt_chain() is `chain`, with their checksums verified.
Result<engine::KvBlocks> read_blocks(std::span<const std::byte> message,
                                     const models::KvBlockFormat& format,
                                     std::span<const Hash128> chain);
Result<int64_t> read_taken(std::span<const std::byte> message);

// Whether two engines can hand blocks to each other: those of one model, whatever their tokens a
// block and their number formats. The error says what differs.
Status check_hello(const Hello& own, const Hello& peer);

}  // namespace fathom::kvtransfer
