#include "net/client/resolve.h"

#include <cstdint>
#include <string>

namespace fathom::net {

using boost::asio::ip::tcp;
using SystemError = boost::system::error_code;

namespace {

struct Lookup {
  SystemError error = boost::asio::error::operation_aborted;
  Endpoints endpoints;
};

Error resolve_error(const Url& url, const std::string& reason) {
  return {ErrorCode::kUnavailable, "resolve " + url.authority() + ": " + reason};
}

}  // namespace

Awaitable<Result<Endpoints>> resolve(Executor executor, const Url& url, std::shared_ptr<Event> done,
                                     Deadline deadline) {
  SystemError not_an_address;
  const auto address = boost::asio::ip::make_address(url.host, not_an_address);
  const auto port = static_cast<std::uint16_t>(url.port);
  if (!not_an_address) co_return Endpoints{tcp::endpoint(address, port)};

  // Outlives this function if it gives up: the system's lookup cannot be cancelled.
  const auto lookup = std::make_shared<Lookup>();
  boost::asio::ip::basic_resolver<tcp, Executor> resolver(executor);
  resolver.async_resolve(url.host, std::to_string(url.port),
                         [lookup, done](const SystemError& error, const auto& found) {
                           lookup->error = error;
                           for (const auto& entry : found) {
                             lookup->endpoints.push_back(entry.endpoint());
                           }
                           done->set();
                         });
  co_await done->wait_until(deadline.at);
  if (!done->is_set()) co_return resolve_error(url, deadline.missed());
  if (lookup->error) co_return resolve_error(url, lookup->error.message());
  if (lookup->endpoints.empty()) co_return resolve_error(url, "no address");
  co_return std::move(lookup->endpoints);
}

}  // namespace fathom::net
