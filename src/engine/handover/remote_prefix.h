// Requests whose prompts another engine computes. They wait here, off the step loop, until the
// blocks are in the prefix cache, and are then scheduled like any request with a cached prefix.
// Such blocks, and those that were cached when the transfer began, are kept meanwhile: they are
// evicted only where there are no others. So nothing waits for memory and nothing is left behind:
// where the pool is short of blocks, or the other engine fails, the rest of the prompt is computed
// here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/kv_transfer.h"
#include "engine/schedule/replica_schedulers.h"
#include "engine/sequence/task.h"
#include "models/causal_lm.h"

namespace fathom::engine {

class RemotePrefix final : public KvReceiver {
 public:
  // Prompts that lack fewer than min_tokens are computed here. `wake` is called from the source's
  // thread when work() has something to do.
  RemotePrefix(std::unique_ptr<KvSource> source, int64_t min_tokens, ReplicaSchedulers& schedulers,
               models::CausalLm& model, std::function<void()> wake);

  // The engine's thread. A new task: it waits here or is scheduled at once.
  void add(Task& task);
  bool has_waiting() const { return !waiting_.empty(); }
  // Whether it waited here.
  bool forget(Task& task);
  // Stores the blocks that came, schedules tasks whose transfer has ended, and begins transfers.
  void work();

  KvTransferStats stats() const { return source_->stats(); }

  // The source's thread.
  void came(uint64_t id, KvBlocks blocks) override;
  void ended(uint64_t id) override;

 private:
  struct Waiting {
    Task* task = nullptr;
    bool asked = false;
    std::vector<int32_t> kept = {};  // blocks of its prompt
  };
  struct Mail {
    uint64_t id = 0;
    KvBlocks blocks;  // none: the end
  };

  std::vector<Waiting>::iterator find(uint64_t id);
  void post(Mail mail);
  void read(const Mail& mail);
  void store(Waiting& waiting, const KvBlocks& blocks);
  // Nothing more comes for it.
  Task& end_waiting(std::vector<Waiting>::iterator waiting);
  bool write(Task& task, const std::vector<int32_t>& run, int64_t first, const KvBlocks& blocks);
  void ask_for_more();
  bool is_worth_asking(const KvGap& gap) const;
  void schedule(Task& task);

  const int64_t min_tokens_;
  const models::KvBlockFormat format_;
  ReplicaSchedulers& schedulers_;
  models::CausalLm& model_;
  const std::function<void()> wake_;
  std::vector<Waiting> waiting_;  // in order of priority, then arrival
  int64_t asked_ = 0;             // of them
  std::vector<Mail> reading_;

  std::mutex mutex_;  // guards what follows
  std::vector<Mail> mail_;

  std::unique_ptr<KvSource> source_;  // ends first
};

}  // namespace fathom::engine
