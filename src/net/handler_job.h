// A request that waits for a handler's thread. It is dropped if its client leaves
// before that.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "net/server_context.h"

namespace fathom::net {

// Counts as one of ServerContext::heavy_requests, where it is one, until run() is through or
// drop().
class HandlerJob {
 public:
  HandlerJob(ServerContext& context, Lane lane, HttpRequest request,
             std::shared_ptr<ResponseWriter> writer);

  // Calls the handler, unless the job was dropped. What the handler throws is logged.
  void run();
  // The client is gone: frees the request if it still waits. From any thread.
  void drop();

 private:
  struct Work {
    HttpRequest request;
    std::shared_ptr<ResponseWriter> writer;
  };
  std::optional<Work> take();
  void leave_lane();

  ServerContext& context_;
  const Lane lane_;
  const std::size_t bytes_;
  std::mutex mutex_;
  std::optional<Work> work_;  // guarded by mutex_
};

}  // namespace fathom::net
