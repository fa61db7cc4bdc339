// The blocks of one engine as another one has them: cut to other numbers of tokens, and in another
// number format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kv_transfer.h"
#include "models/causal_lm.h"

namespace fathom::kvtransfer {

// What blocks travel in: cut as the decode engine's are, in the narrower of the two number formats.
// So the prefill engine cuts and narrows, and the decode engine widens.
models::KvBlockFormat wire_format(const models::KvBlockFormat& prefill,
                                  const models::KvBlockFormat& decode);

// F32 becomes the nearest BF16, ties to even, NaN stays NaN; the other way is exact. Both ends have
// equally many numbers.
void convert_numbers(std::span<const std::byte> in, fathom_dtype from, std::span<std::byte> out,
                     fathom_dtype to);

// Makes blocks [first, first + count) in the format `to` of those in `from`, which differ in
// nothing but dtype and block_size.
class BlockCutter {
 public:
  BlockCutter(const models::KvBlockFormat& from, const models::KvBlockFormat& to, int64_t first,
              int64_t count);

  // The first block of `from` that is needed.
  int64_t first_needed() const;
  // How many blocks are whole once those of `from` before `end` have come. Thread-safe.
  int64_t whole_before(int64_t end) const;
  // Takes blocks of `from` that follow each other. Returns what is whole with them, none longer
  // than kMaxKvBlocksACall. Of the last one only tokens of wanted blocks are looked at.
  std::vector<engine::KvBlocks> add(engine::KvBlocks blocks);

 private:
  void add_tokens(std::span<const std::byte> block, int64_t begin,
                  std::vector<engine::KvBlocks>& whole);
  void copy_tokens(std::span<const std::byte> block, int64_t token, int64_t count);

  const models::KvBlockFormat from_;
  const models::KvBlockFormat to_;
  const int64_t begin_;  // token
  const int64_t end_;
  int64_t next_;                  // token that comes next
  std::vector<std::byte> block_;  // that it belongs to
};

}  // namespace fathom::kvtransfer
