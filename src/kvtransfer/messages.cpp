#include "kvtransfer/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "device/device.h"
#include "kvtransfer/checksum.h"

namespace fathom::kvtransfer {

static_assert(std::endian::native == std::endian::little, "messages are little-endian");

namespace {

constexpr uint32_t kMagic = 0x54564B46;  // "FKVT"
constexpr size_t kHashBytes = 32;
constexpr size_t kMaxTextBytes = 1024;

struct WireHead {
  uint32_t magic = kMagic;
  uint16_t version = kVersion;
  Kind kind = Kind::kAlive;
  TransferId transfer = 0;
};

struct WireHello {
  char model_hash[kHashBytes] = {};
  uint32_t dtype = 0;
  uint32_t layers = 0;
  uint32_t block_size = 0;
  uint32_t latent = 0;
  uint32_t max_context = 0;  // tokens
  uint32_t unused = 0;
};

struct WireAsk {
  uint64_t first_block = 0;
  uint64_t blocks = 0;
  uint32_t tokens = 0;
  uint32_t salt_bytes = 0;
};

struct WireBlocks {
  uint64_t first = 0;
  uint64_t count = 0;
  Hash128 chain;  // of the last one
  uint64_t checksums[models::kMaxKvBlocksACall] = {};
};

template <typename T>
void append(Bytes& bytes, const T& value) {
  static_assert(std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>);
  const auto* begin = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), begin, begin + sizeof(T));
}

void append_all(Bytes& bytes, const void* data, size_t size) {
  const auto* begin = static_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), begin, begin + size);
}

Bytes begin_message(Kind kind, TransferId transfer, size_t size = 0) {
  Bytes bytes;
  bytes.reserve(sizeof(WireHead) + size);
  append(bytes, WireHead{.kind = kind, .transfer = transfer});
  return bytes;
}

// Takes a T off the front.
template <typename T>
bool take(std::span<const std::byte>& bytes, T& value) {
  if (bytes.size() < sizeof(T)) return false;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes = bytes.subspan(sizeof(T));
  return true;
}

std::span<const std::byte> body(std::span<const std::byte> message) {
  return message.subspan(std::min(message.size(), sizeof(WireHead)));
}

Error corrupt(std::string what) {
  return {ErrorCode::kDataCorrupt, "kv message: expected " + std::move(what)};
}

Error short_of(const char* what, size_t bytes) {
  return corrupt(fmt::format("{}, got {} bytes", what, bytes));
}

std::string hex_of(const char* text) {
  return {text, std::find(text, text + kHashBytes, '\0')};
}

}  // namespace

std::vector<Hash128> prompt_chain(const std::string& model_hash, const std::string& salt,
                                  std::span<const int32_t> tokens, int64_t block_size) {
  const std::string start = model_hash + '\0' + salt;
  Hash128 last = sip_hash_128({}, std::as_bytes(std::span(start)));
  std::vector<Hash128> chain;
  const auto size = static_cast<size_t>(block_size);
  Bytes message;
  for (; tokens.size() >= size; tokens = tokens.subspan(size)) {
    message.clear();
    append(message, last);
    append_all(message, tokens.data(), size * sizeof(int32_t));
    chain.push_back(last = sip_hash_128({}, message));
  }
  return chain;
}

Bytes write_hello(const Hello& hello) {
  WireHello wire = {.dtype = static_cast<uint32_t>(hello.format.dtype),
                    .layers = static_cast<uint32_t>(hello.format.layers),
                    .block_size = static_cast<uint32_t>(hello.format.block_size),
                    .latent = static_cast<uint32_t>(hello.format.latent),
                    .max_context = static_cast<uint32_t>(hello.max_context)};
  hello.model_hash.copy(wire.model_hash, kHashBytes);
  Bytes bytes = begin_message(Kind::kHello, 0);
  append(bytes, wire);
  return bytes;
}

Bytes write_text(Kind kind, TransferId transfer, const std::string& text) {
  Bytes bytes = begin_message(kind, transfer);
  append_all(bytes, text.data(), std::min(text.size(), kMaxTextBytes));
  return bytes;
}

Bytes write_ask(TransferId transfer, const engine::KvWanted& wanted) {
  Bytes bytes = begin_message(Kind::kAsk, transfer);
  append(bytes, WireAsk{.first_block = static_cast<uint64_t>(wanted.first_block),
                        .blocks = static_cast<uint64_t>(wanted.blocks),
                        .tokens = static_cast<uint32_t>(wanted.tokens.size()),
                        .salt_bytes = static_cast<uint32_t>(wanted.cache_salt.size())});
  append_all(bytes, wanted.tokens.data(), wanted.tokens.size() * sizeof(int32_t));
  append_all(bytes, wanted.cache_salt.data(), wanted.cache_salt.size());
  return bytes;
}

Bytes write_blocks(TransferId transfer, const engine::KvBlocks& blocks, const Hash128& chain) {
  WireBlocks wire = {.first = static_cast<uint64_t>(blocks.first),
                     .count = static_cast<uint64_t>(blocks.count),
                     .chain = chain};
  const auto count = static_cast<size_t>(blocks.count);
  const size_t each = blocks.bytes.size() / count;
  for (size_t i = 0; i < count; ++i) {
    wire.checksums[i] = checksum(std::span(blocks.bytes).subspan(i * each, each));
  }
  Bytes bytes = begin_message(Kind::kBlocks, transfer, sizeof(wire) + blocks.bytes.size());
  append(bytes, wire);
  append_all(bytes, blocks.bytes.data(), blocks.bytes.size());
  return bytes;
}

Bytes write_taken(TransferId transfer, int64_t count) {
  Bytes bytes = begin_message(Kind::kTaken, transfer);
  append(bytes, static_cast<uint64_t>(count));
  return bytes;
}

Bytes write_bare(Kind kind, TransferId transfer) {
  return begin_message(kind, transfer);
}

size_t max_message_bytes(const models::KvBlockFormat& format, int64_t max_context) {
  const size_t blocks = sizeof(WireHead) + sizeof(WireBlocks) +
                        models::kMaxKvBlocksACall * models::kv_block_bytes(format);
  const size_t ask = sizeof(WireHead) + sizeof(WireAsk) + kMaxSaltBytes +
                     static_cast<size_t>(max_context) * sizeof(int32_t);
  return std::max(blocks, ask);
}

Result<Head> read_head(std::span<const std::byte> message) {
  WireHead wire;
  if (!take(message, wire)) return short_of("a head", message.size());
  if (wire.magic != kMagic) return corrupt(fmt::format("a Fathom engine, got {:#x}", wire.magic));
  if (wire.version != kVersion) {
    return corrupt(fmt::format("version {}, got {}", kVersion, wire.version));
  }
  if (wire.kind < Kind::kHello || wire.kind > Kind::kAlive) {
    return corrupt(fmt::format("a known kind, got {}", static_cast<int>(wire.kind)));
  }
  return Head{wire.kind, wire.transfer};
}

Result<Hello> read_hello(std::span<const std::byte> message) {
  auto rest = body(message);
  WireHello wire;
  if (!take(rest, wire)) return short_of("a hello", rest.size());
  if (wire.dtype != FATHOM_F32 && wire.dtype != FATHOM_BF16) {
    return corrupt(fmt::format("numbers in f32 or bf16, got format {}", wire.dtype));
  }
  if (wire.block_size < 1 || wire.block_size > device::kMostKvBlock) {
    return corrupt(
        fmt::format("blocks of 1 to {} tokens, got {}", device::kMostKvBlock, wire.block_size));
  }
  return Hello{.model_hash = hex_of(wire.model_hash),
               .format = {.dtype = static_cast<fathom_dtype>(wire.dtype),
                          .layers = wire.layers,
                          .block_size = wire.block_size,
                          .latent = wire.latent},
               .max_context = wire.max_context};
}

std::string read_text(std::span<const std::byte> message) {
  std::string text;
  for (const std::byte each : body(message)) {
    if (text.size() == kMaxTextBytes) break;
    const auto character = static_cast<char>(each);
    text += character >= ' ' && character <= '~' ? character : '?';
  }
  return text;
}

Result<engine::KvWanted> read_ask(std::span<const std::byte> message, int64_t block_size,
                                  int64_t max_context) {
  auto rest = body(message);
  WireAsk wire;
  if (!take(rest, wire)) return short_of("what is asked for", rest.size());
  const size_t token_bytes = size_t{wire.tokens} * sizeof(int32_t);
  if (wire.tokens > static_cast<uint64_t>(max_context)) {
    return corrupt(fmt::format("at most {} tokens, got {}", max_context, wire.tokens));
  }
  if (wire.salt_bytes > kMaxSaltBytes || rest.size() != token_bytes + wire.salt_bytes) {
    return short_of("tokens and a salt", rest.size());
  }
  const auto blocks = static_cast<uint64_t>((int64_t{wire.tokens} - 1) / block_size);
  if (wire.tokens < 1 || wire.blocks < 1 || wire.blocks > blocks ||
      wire.first_block != blocks - wire.blocks) {
    return corrupt(fmt::format("the last of {} blocks, got {} from {} on", blocks, wire.blocks,
                               wire.first_block));
  }
  engine::KvWanted wanted = {.tokens = std::vector<int32_t>(wire.tokens),
                             .cache_salt = {},
                             .first_block = static_cast<int64_t>(wire.first_block),
                             .blocks = static_cast<int64_t>(wire.blocks)};
  std::memcpy(wanted.tokens.data(), rest.data(), token_bytes);
  wanted.cache_salt.assign(reinterpret_cast<const char*>(rest.data() + token_bytes),
                           wire.salt_bytes);
  return wanted;
}

Result<engine::KvBlocks> read_blocks(std::span<const std::byte> message,
                                     const models::KvBlockFormat& format,
                                     std::span<const Hash128> chain) {
  auto rest = body(message);
  WireBlocks wire;
  if (!take(rest, wire)) return short_of("blocks", rest.size());
  const size_t each = models::kv_block_bytes(format);
  if (wire.count < 1 || wire.count > models::kMaxKvBlocksACall || wire.first > chain.size() ||
      wire.count > chain.size() - wire.first || rest.size() != wire.count * each) {
    return corrupt(fmt::format("1 to {} blocks of {} bytes below {}, got {} from {} on in {} bytes",
                               models::kMaxKvBlocksACall, each, chain.size(), wire.count,
                               wire.first, rest.size()));
  }
  if (wire.chain != chain[wire.first + wire.count - 1]) {
    return corrupt(fmt::format("blocks of this prompt, got another's for block {}", wire.first));
  }
  for (size_t i = 0; i < wire.count; ++i) {
    if (checksum(rest.subspan(i * each, each)) != wire.checksums[i]) {
      return corrupt(fmt::format("block {} with the checksum that it was sent with, got another",
                                 wire.first + i));
    }
  }
  return engine::KvBlocks{static_cast<int64_t>(wire.first), static_cast<int64_t>(wire.count),
                          Bytes(rest.begin(), rest.end())};
}

Result<int64_t> read_taken(std::span<const std::byte> message) {
  auto rest = body(message);
  uint64_t count = 0;
  if (!take(rest, count) || count > models::kMaxKvBlocksACall) {
    return short_of("a number of blocks", rest.size());
  }
  return static_cast<int64_t>(count);
}

Status check_hello(const Hello& own, const Hello& peer) {
  if (own.model_hash != peer.model_hash) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("expected an engine with the same model ({}), got another", own.model_hash)};
  }
  const models::KvBlockFormat& format = own.format;
  if (format.layers != peer.format.layers || format.latent != peer.format.latent) {
    return Error{
        ErrorCode::kInvalidArgument,
        fmt::format("expected an engine with KV blocks of {} layers of {} numbers a token, "
                    "got {} of {}",
                    format.layers, format.latent, peer.format.layers, peer.format.latent)};
  }
  return {};
}

}  // namespace fathom::kvtransfer
