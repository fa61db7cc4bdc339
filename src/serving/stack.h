// A serving stack put together: chip, model, engine, tokenizer, template. `serve`, `chat` and
// `bench` start from here, so that they measure and run the same thing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "comm/world.h"
#include "device/device.h"
#include "device/registry.h"
#include "engine/engine.h"
#include "jinja/chat_template.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/config.h"
#include "models/deepseek_v3/cost.h"
#include "models/deepseek_v3/model.h"
#include "models/weight_format.h"
#include "serving/disaggregation.h"
#include "serving/loading.h"
#include "tokenizer/tokenizer.h"

namespace fathom::cli {

// What `--kv-cache` says: bf16 where the model's weights are rounded more than that anyway, or one.
enum class KvCacheFormat { kAuto, kF32, kBf16 };

struct StackOptions {
  std::filesystem::path model;  // directory of a released checkpoint
  std::string synthetic;        // or the name of a model with random weights
  std::string chip = "cpu";     // by name; of a plug-in libfathom-NAME.so otherwise
  std::string kernels;          // "native", "reference"; "": the chip's fastest
  int threads = 0;              // 0: one a core, shared by the ranks of this host
  bool pin = true;       // threads to cores, where they have the host's or their share of them
  std::string parallel;  // how ranks divide the model (layout.h), or "auto"; "": one rank
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
  ApartOptions apart;                   // from other engines
  bool progress = true;                 // draw a loading bar on stderr, if that is a terminal

  // What messages call the model.
  std::string name() const { return synthetic.empty() ? model.string() : synthetic; }
};

// Takes part in the job until its end, which is orderly: every rank waits for the others.
class Membership {
 public:
  explicit Membership(std::unique_ptr<comm::World> world) : world_(std::move(world)) {}
  Membership(Membership&&) = default;
  Membership& operator=(Membership&&) = delete;
  ~Membership();

  const comm::World& world() const { return *world_; }
  comm::Group& ranks() { return world_->group(); }

 private:
  std::unique_ptr<comm::World> world_;
};

// Owners in the order they depend on each other; destroyed in reverse.
struct Stack {
  std::unique_ptr<device::Registry> registry;
  std::unique_ptr<device::Device> device;
  Membership membership;
  models::deepseek_v3::Config config;
  tokenizer::Tokenizer tokenizer;
  std::optional<jinja::ChatTemplate> chat_template;  // models that only complete have none
  bool add_bos_token = false;  // text prompts begin with the model's first token
  std::optional<models::deepseek_v3::CostModel> cost;  // where one rank has the whole model
  Loading loading;
  // Exactly one of the two: rank 0 has the engine, over all ranks; the others follow it.
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<models::deepseek_v3::Model> follower;
  std::string model_hash;  // of a prefill or a decode engine
};

// The chips linked in and those of plug-ins (base/plug_in.h). Plug-ins that fail to load are
// logged.
std::unique_ptr<device::Registry> find_chips();

// Errors name the file, tensor, field or flag at fault.
Result<Stack> build_stack(const StackOptions& options);

}  // namespace fathom::cli
