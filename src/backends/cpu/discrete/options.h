// What a device of cpu-discrete is opened with beyond what the CPU takes: the other things that a
// chip may be, for tests of the host.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "device/abi.h"

namespace fathom::cpu::discrete {

// What a chip may lack.
enum class Part : uint32_t {
  kAsynchronous = 1 << 0,
  kGraphs = 1 << 1,
  kCollectives = 1 << 2,
  kSample = 1 << 3,
  kTakeTokens = 1 << 4,
  kMoeExchange = 1 << 5,
  kPack = 1 << 6,
};

struct Options {
  std::string kernels = "native";  // the kernel set
  uint32_t without = 0;            // Parts, or-ed
  int32_t kv_planes = 1;
  int32_t kv_block_size = 0;  // 0: any
  int32_t kv_dtype = 0;       // fathom_dtype; 0: the kernel set's
  uint64_t most_delay_us = 50;
  uint64_t lose_at = 0;  // which record the chip is lost at, counted from 1; 0: none

  bool has(Part part) const { return (without & static_cast<uint32_t>(part)) == 0; }
  // Whether the operator, if it is optional, is there.
  bool has_operator(int32_t op) const;
  // `capabilities` less those of parts that it goes without.
  uint32_t capabilities_of(uint32_t capabilities) const;

  // "SET,KEY=VALUE,...", all of it optional: a kernel set, without=PART (several times), planes=1
  // or 2, block=16 to 128 (tokens), kv=f32 or bf16, delay=MICROSECONDS, lose=RECORD.
  static Result<Options> parse(std::string_view text);
};

}  // namespace fathom::cpu::discrete
