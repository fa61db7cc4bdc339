// What an HTTP server serves: the one interface between the server and an application.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http.h"

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

// Groups of handler threads, by the cost of the requests they serve.
enum class Lane {
  kQuick,  // answered from memory
  kShort,  // little work
  kHeavy,  // up to seconds of work
};

// An application only has to implement handle(). Methods are called on several threads at once, all
// but handle() on network threads: they must neither block nor throw.
class HttpApp {
 public:
  virtual ~HttpApp() = default;

  // Looks at a request's head before its body is read; an answer here is the request's, and
  // handle() never hears of it.
  virtual std::optional<HttpResponse> early_answer(const HttpRequest& head);

  // Whether the body is read at all. If it is not, handle() gets none, and the connection is closed
  // after the answer if the request has one.
  virtual bool takes_body(const HttpRequest& head) const;

  // Which threads handle the request, whose body is there by now.
  virtual Lane lane(const HttpRequest& request) const;

  // Answers, now or later, through `writer`. Runs on one of the lane's threads; what it throws is
  // logged and answered with 500. A stream's handler returns at once and writes from its own
  // threads.
  virtual void handle(HttpRequest request, std::shared_ptr<ResponseWriter> writer) = 0;

  // Headers for the answer of handle() to a request.
  virtual std::vector<Header> response_headers(const HttpRequest& request) const;

  // Words what the server itself answers (400, 408, 413, 417, 431, 500, 501, 503, 505); here as
  // {"error":{"message":...,"type":...,"param":null,"code":null}}. `head` is what is known of the
  // request, maybe nothing. Called on any thread.
  virtual HttpResponse protocol_error(int status, const std::string& message,
                                      const HttpRequest& head);

  // The client left before handle() had its request: while the body was read, or while the request
  // waited for a thread.
  virtual void client_left(const HttpRequest& head) noexcept;
};

}  // namespace fathom::net
