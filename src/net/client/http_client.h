// HTTP/1.1 client of an event loop: connections are kept for the next call, answers are read piece
// by piece. https is TLS 1.2 or 1.3 with a server whose certificate is trusted and for its name.
//
// Everything here belongs to the loop's one thread. A client is destroyed before its loop; its
// calls may outlive it.
//
// A connection is reused only if its last answer was read to the end. The client never sends a
// request twice. It checks an idle connection before it uses it; a server may still close one just
// as a request is sent. HttpCall::may_have_reached() then tells whether the server can have seen
// the request, so that a caller knows when repeating it is safe.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "net/client/body_decoder.h"
#include "net/client/connection_pool.h"
#include "net/client/deadline.h"
#include "net/client/request.h"
#include "net/http.h"
#include "net/socket.h"

namespace fathom::net {

struct ClientOptions {
  std::string ca_file;  // PEM certificates to trust with https; "": the system's
  std::size_t max_head_bytes = 256 * 1024;
  PoolLimits pool;
};

class HttpCall;

class HttpClient {
 public:
  HttpClient(boost::asio::io_context& io, ClientOptions options);
  // Closes idle connections.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Does nothing before its head() is called.
  std::shared_ptr<HttpCall> call(ClientRequest request);

  // call() and its whole().
  Awaitable<Result<HttpResponse>> request(ClientRequest request);

  PoolStats stats() const;

 private:
  friend class HttpCall;
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

// A request and its answer. Whoever awaits one of its steps keeps the call alive. Its destructor
// closes the connection unless all of the answer was read. Errors name the address ("connect to
// 127.0.0.1:8000: connection refused") and are
// - kInvalidArgument: the request, see check_request();
// - kUnavailable: no connection, no answer in time, an answer that is cut short;
// - kDataCorrupt: an answer that is not HTTP, or `ca_file`;
// - kResourceExhausted: a head beyond max_head_bytes, or a whole() body beyond max_body_bytes;
// - kCancelled: after cancel().
class HttpCall {
 public:
  HttpCall(std::shared_ptr<HttpClient::Shared> shared, ClientRequest request);

  // Sends the request. Status and headers of its answer; the body stays empty. To be called once.
  Awaitable<Result<HttpResponse>> head();

  // After head(): replaces `piece` by the next bytes of the body, without chunked coding. At the
  // end it returns false and `piece` is empty.
  Awaitable<Result<bool>> read(std::string& piece);

  // head() and all of the body, whatever the status.
  Awaitable<Result<HttpResponse>> whole();

  // Closes the connection: the pending step and every later one end with kCancelled. Has no effect
  // after the end of the answer.
  void cancel();

  // After an error: whether the server may have seen any of the request.
  bool may_have_reached() const { return may_have_reached_; }

 private:
  // Each sets error_ and returns false if it fails.
  Awaitable<bool> open();
  Awaitable<bool> wait_for_place(Deadline deadline);
  Awaitable<bool> connect(Deadline deadline);
  Awaitable<bool> read_head(ResponseHead& head);
  Awaitable<bool> receive(Deadline deadline);

  bool fail(Error error);
  Error reading_error(ErrorCode code, const std::string& problem) const;
  void finish();

  const std::shared_ptr<HttpClient::Shared> shared_;
  ClientRequest request_;
  std::shared_ptr<Event> pending_;  // what the call waits for before it has a connection
  std::unique_ptr<ConnectionPool::Place> place_;
  std::string input_;   // received and not yet understood
  bool ended_ = false;  // nothing follows in the stream
  bool keep_alive_ = false;
  std::optional<BodyDecoder> body_;
  Deadline body_deadline_ = Deadline::none();
  std::optional<Error> error_;
  bool cancelled_ = false;
  bool may_have_reached_ = false;
};

}  // namespace fathom::net
