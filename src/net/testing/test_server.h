// A plain socket that can send anything, and applications made of functions.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http_server.h"

namespace fathom::net {

class RawClient {
 public:
  // Connects to 127.0.0.1; a failure fails the test.
  explicit RawClient(int port, int receive_buffer_bytes = 0);
  // The server's end of a connection.
  static RawClient accepted(int socket) { return RawClient(Socket{socket}); }
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
  struct Socket {
    int number;
  };
  explicit RawClient(Socket socket) : socket_(socket.number) {}

  // False after `deadline`; else appended what came, and set ended_ at the end.
  bool receive_some(std::chrono::steady_clock::time_point deadline);

  int socket_ = -1;
  std::string received_;
  bool ended_ = false;
};

using Handler = std::function<void(HttpRequest, std::shared_ptr<ResponseWriter>)>;

// Each method is a function; without one, it is HttpApp's.
struct FunctionApp : HttpApp {
  explicit FunctionApp(Handler handler) : on_handle(std::move(handler)) {}

  std::optional<HttpResponse> early_answer(const HttpRequest& head) override;
  bool takes_body(const HttpRequest& head) const override;
  Lane lane(const HttpRequest& request) const override;
  void handle(HttpRequest request, std::shared_ptr<ResponseWriter> writer) override;
  std::vector<Header> response_headers(const HttpRequest& request) const override;
  HttpResponse protocol_error(int status, const std::string& message,
                              const HttpRequest& head) override;
  void client_left(const HttpRequest& head) noexcept override;

  Handler on_handle;
  std::function<std::optional<HttpResponse>(const HttpRequest&)> on_early_answer = {};
  std::function<bool(const HttpRequest&)> on_takes_body = {};
  std::function<Lane(const HttpRequest&)> on_lane = {};
  std::function<std::vector<Header>(const HttpRequest&)> on_response_headers = {};
  std::function<HttpResponse(int, const std::string&, const HttpRequest&)> on_protocol_error = {};
  std::function<void(const HttpRequest&)> on_client_left = {};
};

std::shared_ptr<FunctionApp> make_app(Handler handler);

ServerOptions test_options();
std::unique_ptr<HttpServer> start_server(std::shared_ptr<HttpApp> app,
                                         ServerOptions options = test_options());
std::unique_ptr<HttpServer> start_server(Handler handler, ServerOptions options = test_options());

// "GET PATH HTTP/1.1" with a Host header.
std::string get_request(std::string_view path);

// Waits up to 5 s for a condition that another thread brings about.
bool eventually(const std::function<bool()>& condition);

// 200 with "METHOD PATH BODY".
void echo(HttpRequest request, std::shared_ptr<ResponseWriter> writer);

}  // namespace fathom::net
