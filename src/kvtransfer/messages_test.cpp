#include "kvtransfer/messages.h"

#include <gtest/gtest.h>

#include <random>

#include "kvtransfer/checksum.h"
#include "kvtransfer/transport.h"

namespace fathom::kvtransfer {
namespace {

const models::KvBlockFormat kFormat = {
    .dtype = FATHOM_BF16, .layers = 3, .block_size = 4, .latent = 6};
constexpr int64_t kContext = 64;

engine::KvWanted some_wanted() {
  return {.tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13},
          .cache_salt = "pepper",
          .first_block = 1,
          .blocks = 2};
}

engine::KvBlocks some_blocks() {
  engine::KvBlocks blocks = {.first = 1, .count = 2, .bytes = Bytes(2 * kv_block_bytes(kFormat))};
  for (size_t i = 0; i < blocks.bytes.size(); ++i) blocks.bytes[i] = std::byte(i * 7);
  return blocks;
}

std::vector<Hash128> some_chain() {
  return prompt_chain("model", "pepper", some_wanted().tokens, 4);
}

Bytes some_blocks_message() {
  return write_blocks(5, some_blocks(), some_chain()[2]);
}

TEST(KvMessages, ArriveAsTheyWereSent) {
  const Bytes ask = write_ask(7, some_wanted());
  ASSERT_TRUE(read_head(ask).ok());
  EXPECT_EQ(read_head(ask)->kind, Kind::kAsk);
  EXPECT_EQ(read_head(ask)->transfer, 7u);
  const auto wanted = read_ask(ask, 4, kContext);
  ASSERT_TRUE(wanted.ok()) << wanted.error().message;
  EXPECT_EQ(wanted->tokens, some_wanted().tokens);
  EXPECT_EQ(wanted->cache_salt, "pepper");
  EXPECT_EQ(wanted->first_block, 1);
  EXPECT_EQ(wanted->blocks, 2);

  const auto blocks = read_blocks(some_blocks_message(), kFormat, some_chain());
  ASSERT_TRUE(blocks.ok()) << blocks.error().message;
  EXPECT_EQ(blocks->first, 1);
  EXPECT_EQ(blocks->count, 2);
  EXPECT_EQ(blocks->bytes, some_blocks().bytes);

  const auto hello = read_hello(write_hello({"0123456789abcdef", kFormat, 2048}));
  ASSERT_TRUE(hello.ok());
  EXPECT_EQ(hello->model_hash, "0123456789abcdef");
  EXPECT_EQ(hello->format, kFormat);
  EXPECT_EQ(hello->max_context, 2048);
  EXPECT_EQ(read_text(write_text(Kind::kEnd, 1, "no\nroom")), "no?room");
  EXPECT_EQ(*read_taken(write_taken(1, 3)), 3);
}

TEST(KvMessages, OfAnotherVersionOrProgramAreRefused) {
  Bytes message = write_bare(Kind::kAlive, 1);
  message[4] = std::byte(9);
  EXPECT_EQ(read_head(message).error().message, "kv message: expected version 1, got 9");
  message[0] = std::byte('G');
  EXPECT_NE(read_head(message).error().message.find("expected a Fathom engine"), std::string::npos);
  message = write_bare(static_cast<Kind>(77), 1);
  EXPECT_EQ(read_head(message).error().message, "kv message: expected a known kind, got 77");
}

// Every prefix of a message is an error, every changed bit of blocks, too.
TEST(KvMessages, CutOrDamagedAreErrors) {
  const auto chain = some_chain();
  const Bytes blocks = some_blocks_message();
  for (size_t size = 0; size < blocks.size(); ++size) {
    EXPECT_FALSE(read_blocks(std::span(blocks).first(size), kFormat, chain).ok()) << size;
  }
  const size_t head = write_bare(Kind::kBlocks, 5).size();
  const size_t sums = head + 2 * 8 + 16;
  for (size_t at = head; at < blocks.size(); ++at) {
    const bool unused = at >= sums + 2 * 8 && at < sums + models::kMaxKvBlocksACall * 8;
    Bytes damaged = blocks;
    damaged[at] ^= std::byte(1 << at % 8);
    EXPECT_EQ(read_blocks(damaged, kFormat, chain).ok(), unused) << at;
  }
  const Bytes ask = write_ask(7, some_wanted());
  for (size_t size = 0; size < ask.size(); ++size) {
    EXPECT_FALSE(read_ask(std::span(ask).first(size), 4, kContext).ok()) << size;
  }
}

TEST(KvMessages, NothingArbitraryBreaksTheReader) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes = i % 2 == 0 ? write_ask(7, some_wanted()) : some_blocks_message();
    for (int flips = 0; flips < 4; ++flips) bytes[random() % bytes.size()] = std::byte(random());
    bytes.resize(random() % (bytes.size() + 8));
    (void)read_head(bytes).ok();
    (void)read_hello(bytes).ok();
    (void)read_text(bytes);
    (void)read_taken(bytes).ok();
    (void)read_blocks(bytes, kFormat, some_chain()).ok();
    const auto wanted = read_ask(bytes, 4, kContext);
    if (!wanted) continue;
    EXPECT_LE(static_cast<int64_t>(wanted->tokens.size()), kContext);
    EXPECT_EQ((wanted->first_block + wanted->blocks) * 4,
              (static_cast<int64_t>(wanted->tokens.size()) - 1) / 4 * 4);
  }
}

TEST(KvMessages, BlocksOfAnotherPromptAreFound) {
  auto tokens = some_wanted().tokens;
  tokens[2] = 99;  // before the blocks that are sent
  const auto other = prompt_chain("model", "pepper", tokens, 4);
  EXPECT_FALSE(read_blocks(some_blocks_message(), kFormat, other).ok());
  EXPECT_NE(prompt_chain("model", "salt", some_wanted().tokens, 4), some_chain());
  EXPECT_NE(prompt_chain("another", "pepper", some_wanted().tokens, 4), some_chain());
}

TEST(KvMessages, EnginesThatDoNotFitAreTold) {
  const Hello own = {"aa", kFormat, 1};
  EXPECT_TRUE(check_hello(own, own).ok());
  EXPECT_EQ(check_hello(own, {"bb", kFormat, 1}).error().message,
            "expected an engine with the same model (aa), got another");
  models::KvBlockFormat other = kFormat;
  other.dtype = FATHOM_F32;
  other.block_size = 128;
  EXPECT_TRUE(check_hello(own, {"aa", other, 1}).ok());
  other.layers = 4;
  EXPECT_EQ(check_hello(own, {"aa", other, 1}).error().message,
            "expected an engine with KV blocks of 3 layers of 6 numbers a token, got 4 of 6");
  other = kFormat;
  other.latent = 7;
  EXPECT_FALSE(check_hello(own, {"aa", other, 1}).ok());
}

TEST(KvMessages, FormatsThatNobodyHasAreErrors) {
  const auto error_of = [](fathom_dtype dtype, int64_t block_size) {
    const models::KvBlockFormat format = {
        .dtype = dtype, .layers = 3, .block_size = block_size, .latent = 6};
    const auto hello = read_hello(write_hello({"aa", format, 1}));
    return hello ? "" : hello.error().message;
  };
  EXPECT_EQ(error_of(FATHOM_F32, 1), "");
  EXPECT_EQ(error_of(FATHOM_BF16, 128), "");
  EXPECT_EQ(error_of(FATHOM_I8, 32), "kv message: expected numbers in f32 or bf16, got format 5");
  EXPECT_EQ(error_of(FATHOM_F32, 0), "kv message: expected blocks of 1 to 128 tokens, got 0");
  EXPECT_EQ(error_of(FATHOM_F32, 129), "kv message: expected blocks of 1 to 128 tokens, got 129");
  EXPECT_EQ(error_of(FATHOM_F32, int64_t{1} << 31),
            "kv message: expected blocks of 1 to 128 tokens, got 2147483648");
}

TEST(KvMessages, ChecksumsTellPlacesApart) {
  Bytes bytes(70);
  const uint64_t zeros = checksum(bytes);
  EXPECT_NE(checksum(std::span(bytes).first(69)), zeros);
  bytes[3] = std::byte(1);
  const uint64_t early = checksum(bytes);
  bytes[3] = std::byte(0);
  bytes[35] = std::byte(1);
  EXPECT_NE(early, zeros);
  EXPECT_NE(checksum(bytes), early);
}

TEST(KvAddress, HostAndPort) {
  EXPECT_EQ(Address::parse("node3:7000", "--x")->text(), "node3:7000");
  EXPECT_EQ(Address::parse("[::1]:7000", "--x")->text(), "[::1]:7000");
  EXPECT_EQ(Address::parse("[::1]:7000", "--x")->host, "::1");
  for (const char* wrong : {"", ":1", "x", "x:", "x:70000", "x:-1", "::1:7000", "[]:1", "x:1 "}) {
    EXPECT_FALSE(Address::parse(wrong, "--x").ok()) << wrong;
  }
}

}  // namespace
}  // namespace fathom::kvtransfer
