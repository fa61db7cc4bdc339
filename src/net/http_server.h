// HTTP/1.0 and HTTP/1.1 server for few large or many small streamed answers (server-sent events).
//
// Sockets live on `ServerOptions::threads` network threads; HttpApp::handle() runs on one of
// `handler_threads` others, so a long handler delays no stream. It may answer later, from any
// thread, through the ResponseWriter it keeps. Meanwhile the server watches the socket, so a client
// that goes away is noticed at once; bytes of further (pipelined) requests are kept and answered in
// order. Half-closed sockets count as gone.
#pragma once

#include <chrono>
#include <memory>

#include "base/result.h"
#include "net/http_app.h"
#include "net/server_options.h"

namespace fathom::net {

class HttpServer {
 public:
  // Listens and serves. Errors read "listen on 127.0.0.1:8000: address already in use; choose
  // another with --port".
  static Result<std::unique_ptr<HttpServer>> start(ServerOptions options,
                                                   std::shared_ptr<HttpApp> app);

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
