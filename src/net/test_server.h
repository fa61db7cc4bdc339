// For the tests: a plain socket that can send anything, and short server options.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/http_server.h"

namespace fathom::net {

class RawClient {
 public:
  // Connects to 127.0.0.1; a failure fails the test.
  explicit RawClient(int port, int receive_buffer_bytes = 0);
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient(const RawClient&) = delete;

  // False if the server closed the connection.
  bool send(std::string_view bytes);
  // Receives until everything so far contains `text`; returns all that came. Fails the test after
  // `timeout`, not at the end of the stream.
  std::string receive_until(std::string_view text,
                            std::chrono::milliseconds timeout = std::chrono::seconds(5));
  // The rest up to the end of the stream or a reset. `ended` false: not within `timeout`.
  std::string receive_rest(bool& ended,
                           std::chrono::milliseconds timeout = std::chrono::seconds(5));
  std::string receive_rest();  // fails the test if the stream does not end

  void shut_down_sending();
  void close();
  void reset();  // closes with RST

 private:
  // False after `deadline`; else appended what came, and set ended_ at the end.
  bool receive_some(std::chrono::steady_clock::time_point deadline);

  int socket_ = -1;
  std::string received_;
  bool ended_ = false;
};

ServerOptions test_options();
std::unique_ptr<HttpServer> start_server(Handler handler, ServerOptions options = test_options());

// "GET PATH HTTP/1.1" with a Host header.
std::string get_request(std::string_view path);

// Waits up to 5 s for a condition that another thread brings about.
bool eventually(const std::function<bool()>& condition);

// 200 with "METHOD PATH BODY".
void echo(HttpRequest request, std::shared_ptr<ResponseWriter> writer);

}  // namespace fathom::net
