// What a gateway and an engine say to each other, in the engine's own types. engine.proto is the
// documented form on the wire; codec.h turns one into the other.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "grammar/compiler.h"

namespace fathom::rpc {

// Versions of the protocol that this build speaks. A release adds one and keeps the one before.
inline constexpr uint32_t kLeastVersion = 1;
inline constexpr uint32_t kGreatestVersion = 1;

using RequestNumber = uint64_t;  // the gateway's, unique on its stream

// Engines with equal manifests give equal answers to equal requests, bit for bit, when they run
// --exact. Digests are SHA-256 in hexadecimal; empty where there is no such file.
struct Manifest {
  std::string model;
  std::string weights_digest;
  std::string tokenizer_digest;
  std::string tokenizer_config_digest;
  std::string template_digest;
  std::string generation_config_digest;
  std::string config_digest;
  uint32_t numerics_version = 0;
  std::string kernels;
  std::string weight_format;
  std::string kv_format;
  std::string layout;
  std::string chip;
  std::string driver;
  std::string version;  // of Fathom
  bool exact = false;

  bool operator==(const Manifest&) const = default;
};

struct Hello {
  uint32_t least_version = kLeastVersion;
  uint32_t greatest_version = kGreatestVersion;
  std::string gateway;  // for the engine's log
};

struct Welcome {
  uint32_t version = 0;  // the greatest that both speak
  std::string instance;  // of the process: another one after a restart
  Manifest manifest;
  int64_t vocab_size = 0;
  int64_t max_context = 0;  // tokens of prompt and answer
  int64_t max_running = 0;
  int64_t kv_block_tokens = 0;

  bool operator==(const Welcome&) const = default;
};

// `request.grammar`, `request.kv_sink` and `request.part_of` do not travel: a grammar goes as its
// source, and parts name the first one by its number.
struct Submit {
  RequestNumber number = 0;
  engine::Request request;
  std::optional<grammar::GrammarSource> grammar;
  RequestNumber part_of = 0;                          // 0: its own first part
  std::optional<std::chrono::milliseconds> deadline;  // from now; the engine cancels it then
  std::string trace_parent;                           // W3C Trace Context
};

struct Cancel {
  RequestNumber number = 0;
};

using ToEngine = std::variant<Hello, Submit, Cancel>;

struct RequestEvent {
  RequestNumber number = 0;
  engine::Event event;
};

// What one step brought a gateway's requests, in the order that it happened.
struct StepEvents {
  uint64_t step = 0;
  std::vector<RequestEvent> events;
};

struct Heartbeat {
  uint64_t step = 0;  // stands still where the engine hangs
  bool busy = false;  // it has work
  bool draining = false;

  bool operator==(const Heartbeat&) const = default;
};

struct Load {
  int64_t running = 0;
  int64_t max_running = 0;
  int64_t waiting = 0;
  int64_t kv_blocks_total = 0;
  int64_t kv_blocks_used = 0;
  uint64_t prompt_tokens = 0;
  uint64_t generated_tokens = 0;
  uint64_t prefix_cache_queries = 0;
  uint64_t prefix_cache_hits = 0;
  uint64_t preemptions = 0;

  bool operator==(const Load&) const = default;
};

using FromEngine = std::variant<Welcome, StepEvents, Heartbeat, Load>;

}  // namespace fathom::rpc
