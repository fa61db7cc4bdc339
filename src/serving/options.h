// What a serving stack is made of: the model, the chip, and how much of it is used for what.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "models/weight_format.h"
#include "serving/disaggregation.h"

namespace fathom::serving {

// What `--kv-cache` says: bf16 where the model's weights are rounded more than that anyway, or one.
enum class KvCacheFormat { kAuto, kF32, kBf16 };

struct StackOptions {
  std::filesystem::path model;  // directory of a released checkpoint
  std::string synthetic;        // or the name of a model with random weights
  std::string chip = "cpu";     // by name; of a plug-in libfathom-NAME.so otherwise
  std::string kernels;          // "native", "reference"; "": the chip's fastest
  int threads = 0;              // 0: one a core, shared by the ranks of this host
  bool pin = true;       // threads to cores, where they have the host's or their share of them
  std::string parallel;  // how ranks divide the model (parallel_layout.h), or "auto"; "": one rank
  models::WeightFormat weights = models::WeightFormat::kAsStored;  // requantised while loading
  std::filesystem::path weight_report;  // where the error of each requantised tensor goes; or ""
  int64_t max_context = 0;              // 0: the model's, as far as the cache holds it
  int64_t kv_memory_mib = 0;            // 0: a quarter of the free memory, or less if that does
  KvCacheFormat kv_cache = KvCacheFormat::kAuto;
  int64_t kv_block_size = 0;            // tokens; 0: as the chip wants them
  int64_t max_running = 64;             // sequences decoded together
  int64_t max_waiting = 2048;           // requests of one owner queued beyond that
  int64_t balance_steps = 4096;         // steps between two placements of redundant experts; 0: off
  int64_t prefill_chunk = 512;          // prompt tokens a step, while others are answered
  bool prefix_cache = true;             // share the KV blocks of equal beginnings
  bool exact = false;                   // but only where that changes no bit
  int64_t speculate = 1;                // tokens drafted a step, where the model has an MTP layer
  std::filesystem::path chat_template;  // replaces the model's own
  DisaggregationOptions disaggregation;  // from other engines
  bool progress = true;                  // draw a loading bar on stderr, if that is a terminal

  // What messages call the model.
  std::string name() const { return synthetic.empty() ? model.string() : synthetic; }
};

}  // namespace fathom::serving
