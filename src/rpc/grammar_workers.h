// Compiles the grammars of requests that come over the network: by a bounded number of threads,
// and with a bounded number of requests and bytes waiting for them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"
#include "grammar/compiler.h"

namespace fathom::rpc {

using GrammarPtr = std::shared_ptr<const grammar::CompiledGrammar>;

class GrammarWorkers {
 public:
  struct Limits {
    int threads = 2;
    size_t waiting = 256;
    size_t waiting_bytes = size_t{64} << 20;  // of sources
  };
  using Done = std::function<void(Result<GrammarPtr>)>;

  explicit GrammarWorkers(grammar::Compiler& compiler) : GrammarWorkers(compiler, Limits()) {}
  GrammarWorkers(grammar::Compiler& compiler, Limits limits);
  // What waits is answered with kUnavailable.
  ~GrammarWorkers();

  // `done` is called once: by a worker, or at once with kResourceExhausted where too much waits.
  // `unwanted` is asked now and then whether nobody waits for it any more.
  void compile(grammar::GrammarSource source, std::function<bool()> unwanted, Done done);

 private:
  struct Job {
    grammar::GrammarSource source;
    std::function<bool()> unwanted;
    Done done;
  };
  bool add(Job& job);
  void work();

  grammar::Compiler& compiler_;
  const Limits limits_;
  std::mutex mutex_;  // guards all below but the threads
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  size_t bytes_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fathom::rpc
