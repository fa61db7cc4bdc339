#include "net/testing/test_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <utility>

namespace fathom::net {

using Clock = std::chrono::steady_clock;

RawClient::RawClient(int port, int receive_buffer_bytes)
    : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  if (receive_buffer_bytes > 0) {
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                 sizeof(receive_buffer_bytes));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
}

RawClient::~RawClient() {
  close();
}

RawClient::RawClient(RawClient&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      received_(std::move(other.received_)),
      ended_(other.ended_) {}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawClient::receive_some(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  pollfd state{socket_, POLLIN, 0};
  if (left.count() <= 0 || ::poll(&state, 1, static_cast<int>(left.count())) <= 0) return false;
  char buffer[16384];
  const ssize_t bytes = ::recv(socket_, buffer, sizeof(buffer), 0);
  ended_ = bytes <= 0;
  if (!ended_) received_.append(buffer, static_cast<std::size_t>(bytes));
  return true;
}

std::string RawClient::receive_until(std::string_view text, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (!ended_ && received_.find(text) == std::string::npos) {
    if (!receive_some(deadline)) {
      ADD_FAILURE() << "expected to receive \"" << text << "\", got \"" << received_ << "\"";
      break;
    }
  }
  return received_;
}

std::string RawClient::receive_rest(bool& ended, std::chrono::milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (!ended_ && receive_some(deadline)) {
  }
  ended = ended_;
  return received_;
}

std::string RawClient::receive_rest() {
  bool ended = false;
  receive_rest(ended);
  EXPECT_TRUE(ended) << "expected the connection to end after \"" << received_ << "\"";
  return received_;
}

void RawClient::shut_down_sending() {
  ::shutdown(socket_, SHUT_WR);
}

void RawClient::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void RawClient::reset() {
  const linger abortive{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &abortive, sizeof(abortive));
  close();
}

std::optional<HttpResponse> FunctionApp::early_answer(const HttpRequest& head) {
  return on_early_answer ? on_early_answer(head) : HttpApp::early_answer(head);
}

bool FunctionApp::takes_body(const HttpRequest& head) const {
  return on_takes_body ? on_takes_body(head) : HttpApp::takes_body(head);
}

Lane FunctionApp::lane(const HttpRequest& request) const {
  return on_lane ? on_lane(request) : HttpApp::lane(request);
}

void FunctionApp::handle(HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
  on_handle(std::move(request), std::move(writer));
}

std::vector<Header> FunctionApp::response_headers(const HttpRequest& request) const {
  return on_response_headers ? on_response_headers(request) : HttpApp::response_headers(request);
}

HttpResponse FunctionApp::protocol_error(int status, const std::string& message,
                                         const HttpRequest& head) {
  return on_protocol_error ? on_protocol_error(status, message, head)
                           : HttpApp::protocol_error(status, message, head);
}

void FunctionApp::client_left(const HttpRequest& head) noexcept {
  if (on_client_left) on_client_left(head);
}

std::shared_ptr<FunctionApp> make_app(Handler handler) {
  return std::make_shared<FunctionApp>(std::move(handler));
}

ServerOptions test_options() {
  ServerOptions options;
  options.threads = 2;
  return options;
}

std::unique_ptr<HttpServer> start_server(std::shared_ptr<HttpApp> app, ServerOptions options) {
  auto server = HttpServer::start(std::move(options), std::move(app));
  EXPECT_TRUE(server.ok()) << (server.ok() ? "" : server.error().message);
  return std::move(server).value();
}

std::unique_ptr<HttpServer> start_server(Handler handler, ServerOptions options) {
  return start_server(make_app(std::move(handler)), std::move(options));
}

std::string get_request(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n\r\n";
}

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = Clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (Clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void echo(HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
  writer->send({200, {}, request.method_text + " " + request.path + " " + std::move(request.body)});
}

}  // namespace fathom::net
