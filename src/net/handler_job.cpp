#include "net/handler_job.h"

#include <exception>
#include <utility>

#include "base/log.h"

namespace fathom::net {

HandlerJob::HandlerJob(ServerContext& context, Lane lane, HttpRequest request,
                       std::shared_ptr<ResponseWriter> writer)
    : context_(context),
      lane_(lane),
      bytes_(request.body.size()),
      work_(Work{std::move(request), std::move(writer)}) {
  if (lane_ != Lane::kHeavy) return;
  ++context_.heavy_requests;
  context_.heavy_bytes += bytes_;
}

void HandlerJob::run() {
  auto work = take();
  if (!work) return;
  try {
    context_.app->handle(std::move(work->request), std::move(work->writer));
  } catch (const std::exception& error) {
    log_error("net: handler threw: {}", error.what());
  }
  leave_lane();
}

void HandlerJob::drop() {
  const auto work = take();
  if (!work) return;
  context_.app->client_left(work->request);
  leave_lane();
}

std::optional<HandlerJob::Work> HandlerJob::take() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(work_, std::nullopt);
}

void HandlerJob::leave_lane() {
  if (lane_ != Lane::kHeavy) return;
  --context_.heavy_requests;
  context_.heavy_bytes -= bytes_;
}

}  // namespace fathom::net
