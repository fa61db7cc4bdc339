#include "net/client/blocking.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "net/client/http_client.h"

namespace fathom::net {
namespace {

constexpr std::chrono::milliseconds kCancelPollInterval{50};

using OnData = std::function<bool(std::string_view)>;
using OnHead = std::function<void(const HttpResponse&)>;

// One client on a loop of its own.
class BlockingCall {
 public:
  explicit BlockingCall(const BlockingRequest& request)
      : cancelled_(request.cancelled),
        client_(io_, options(request)),
        call_(client_.call(request)) {}

  HttpCall& call() { return *call_; }

  // Runs the loop until `work` on the call has ended. Passes on what it throws.
  template <typename T>
  Result<T> run(Awaitable<Result<T>> work) {
    std::optional<Result<T>> result;
    std::exception_ptr thrown;
    bool done = false;
    boost::asio::co_spawn(io_, store(std::move(work), result), [&](std::exception_ptr exception) {
      thrown = exception;
      done = true;
      io_.stop();
    });
    while (!done) {
      io_.restart();
      io_.run_for(kCancelPollInterval);
      if (!done && cancelled_ && cancelled_()) call_->cancel();
    }
    if (thrown) std::rethrow_exception(thrown);
    return std::move(*result);
  }

 private:
  static ClientOptions options(const BlockingRequest& request) {
    ClientOptions options;
    options.ca_file = request.ca_file;
    options.pool.max_idle = 0;
    return options;
  }

  template <typename T>
  static Awaitable<void> store(Awaitable<Result<T>> work, std::optional<Result<T>>& result) {
    result = co_await std::move(work);
  }

  boost::asio::io_context io_{1};
  const std::function<bool()> cancelled_;
  HttpClient client_;
  const std::shared_ptr<HttpCall> call_;
};

Awaitable<Result<int>> pass_on(HttpCall& call, const OnData& on_data, const OnHead& on_head) {
  const Result<HttpResponse> head = co_await call.head();
  if (!head) co_return head.error();
  if (on_head) on_head(*head);
  std::string piece;
  while (true) {
    const Result<bool> more = co_await call.read(piece);
    if (!more) co_return more.error();
    if (!*more || !on_data(piece)) co_return head->status;
  }
}

}  // namespace

Result<int> stream(const BlockingRequest& request, const OnData& on_data, const OnHead& on_head) {
  BlockingCall blocking(request);
  return blocking.run(pass_on(blocking.call(), on_data, on_head));
}

Result<HttpResponse> request(const BlockingRequest& request) {
  BlockingCall blocking(request);
  return blocking.run(blocking.call().whole());
}

}  // namespace fathom::net
