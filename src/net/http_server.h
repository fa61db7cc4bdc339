// HTTP/1.0 and HTTP/1.1 server for few large or many small streamed answers (server-sent events).
//
// Sockets live on `ServerOptions::threads` network threads; a handler runs on one of
// `handler_threads` others, so a long handler delays no stream. A handler may answer later, from
// any thread, through the ResponseWriter it keeps. While it does, the server watches the socket, so
// a client that goes away is noticed at once; bytes of further (pipelined) requests are kept and
// answered in order. Half-closed sockets count as gone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"
#include "net/tls.h"

namespace fathom::net {

// The answer to one request. Every method may be called from any thread. Either send() once, or
// begin_stream(), write() any number of times, end(). A call out of that order is logged and
// ignored. Letting go of the last reference without an answer sends a 500, whatever memory there
// is; letting go of a stream before end() cuts the connection, so that the client sees the answer
// is incomplete.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;

  // The whole answer. Throws std::bad_alloc, with nothing sent, where there is no memory for it.
  virtual void send(HttpResponse response) = 0;

  // Starts an answer of unknown length: chunked, or for HTTP/1.0 ended by closing.
  virtual void begin_stream(int status, std::vector<Header> headers) = 0;

  // Queues bytes and returns without waiting for the client. False once the client is gone or has
  // fallen ServerOptions::stream_buffer_bytes behind, in which case it is disconnected; a few of
  // the stream's largest writes do not count, so that one of any size reaches a client that reads.
  // What is written while the socket is busy leaves in one piece later. Throws std::bad_alloc, with
  // nothing written, where there is no memory to queue it.
  virtual bool write(std::string_view data) = 0;

  virtual void end() = 0;

  virtual bool client_gone() const = 0;

  // Called at most once: when the connection is lost before the answer was completely handed to
  // the operating system; at once if that has happened already. Runs on a network thread, so it
  // must not block. Dropped, with all it holds, when the answer is complete; until then a writer
  // held by its own callback stays alive.
  virtual void on_client_gone(std::function<void()> callback) = 0;

  // From now on writes the server-sent-events comment ": `comment`\n\n" whenever nothing else was
  // written for `interval`, until end(). For streams; call after begin_stream().
  virtual void start_keep_alive(std::string comment, std::chrono::milliseconds interval) = 0;
};

// Must not throw (what it throws is logged and answered with 500). A stream's handler should
// return at once and write from its own threads.
using Handler = std::function<void(HttpRequest, std::shared_ptr<ResponseWriter>)>;

inline constexpr std::size_t kFreeBodyBytes = 64 * 1024;  // ServerOptions::max_bodies_bytes

enum class Lane {
  kQuick,  // answered from memory
  kShort,  // little work
  kHeavy,  // up to seconds of work
};

struct ServerOptions {
  std::string host = "127.0.0.1";  // IPv4 or IPv6 address, or a name (all its addresses are used)
  int port = 0;                    // 0: any free port, see HttpServer::port()
  int threads = 1;                 // network threads
  int handler_threads = 2;         // for each of the lanes kShort and kHeavy; kQuick has one
  // Which of the handlers' threads a request waits for, by what it may cost; null: kShort. Called
  // on network threads; must not throw or block.
  std::function<Lane(const HttpRequest& request)> lane;
  // Requests of kHeavy that wait or run, and their bodies together: 503 beyond.
  std::size_t max_heavy_requests = 256;
  std::size_t max_heavy_bytes = 256 * 1024 * 1024;
  // Connections beyond this are answered 503 and closed.
  std::size_t max_connections = 8192;
  std::size_t max_header_bytes = 64 * 1024;       // request line and headers: 431
  std::size_t max_body_bytes = 32 * 1024 * 1024;  // 413
  // Of all connections together, from the first byte until the handler lets go of the request;
  // what goes beyond is answered 503. The first kFreeBodyBytes of each body do not count, so that
  // large requests never keep out small ones.
  std::size_t max_bodies_bytes = std::size_t{1} << 30;
  std::size_t stream_buffer_bytes = 4 * 1024 * 1024;     // unsent bytes of one stream
  std::chrono::milliseconds header_timeout{15'000};      // first byte to the end of the head: 408
  std::chrono::milliseconds body_timeout{120'000};       // the whole body: 408
  std::chrono::milliseconds idle_timeout{75'000};        // between two requests: closed
  std::chrono::milliseconds write_timeout{60'000};       // without progress in sending: closed
  std::chrono::milliseconds accept_retry_interval{100};  // out of memory
  // Words protocol errors (400, 408, 413, 417, 431, 500, 501, 503, 505) in the API's dialect. If
  // empty: {"error":{"message":...,"type":...,"param":null,"code":null}}. `head` is what is known
  // of the request, maybe nothing. Called on any thread; must not throw.
  using ErrorResponse =
      std::function<HttpResponse(int status, const std::string& message, const HttpRequest& head)>;
  ErrorResponse error_response;
  // Looks at a request's head before its body is read; an answer here is the request's, and the
  // handler never hears of it. This and the next three are called on network threads; they must not
  // throw or block.
  std::function<std::optional<HttpResponse>(const HttpRequest& head)> early_answer;
  // Whether the body is read at all; empty: always. Where it is not, the handler gets none and the
  // connection is closed after the answer if the request has one.
  std::function<bool(const HttpRequest& head)> takes_body;
  // Hears of a request whose client left before the handler had it: while its body was read, or
  // while it waited for a handler's thread.
  std::function<void(const HttpRequest& head)> client_left;
  // Headers for the handler's answer to a request.
  std::function<std::vector<Header>(const HttpRequest& request)> response_headers;
  std::shared_ptr<const TlsIdentity> tls;  // null: plain HTTP
};

struct ServerStats {
  std::int64_t open_connections = 0;
  std::int64_t active_responses = 0;  // handed to the handler, not yet completely sent
  std::uint64_t body_bytes = 0;       // in memory, beyond what does not count
  // Since the start:
  std::uint64_t accepted_connections = 0;
  std::uint64_t refused_connections = 0;  // beyond max_connections or the file descriptors
  std::uint64_t requests = 0;             // handed to the handler
  std::uint64_t clients_gone = 0;         // went away before their answer was complete
  std::uint64_t slow_readers = 0;         // disconnected: send buffer full or write timeout
  std::uint64_t protocol_errors = 0;      // malformed, too large or too slow requests
  std::uint64_t accept_failures = 0;      // accept() failed, for example with EMFILE
};

class HttpServer {
 public:
  // Listens and serves. Errors read "listen on 127.0.0.1:8000: address already in use; choose
  // another with --port".
  static Result<std::unique_ptr<HttpServer>> start(ServerOptions options, Handler handler);

  // Calls stop().
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;

  // From now on every new request, on open or new connections, is answered 503 and its connection
  // closed; running ones go on. The port stays taken until stop().
  void stop_accepting();

  // Waits until no answer is running any more; false if some still were after `timeout`.
  bool drain(std::chrono::milliseconds timeout);

  // Cuts every connection (running writers see their client gone), waits for handlers that are
  // running, and joins all threads. Handlers that wait are dropped; running ones should ask
  // client_gone() now and then. Not to be called from a handler or an on_client_gone callback.
  // Writers that outlive the server stay safe to use.
  void stop();

  ServerStats stats() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom::net
