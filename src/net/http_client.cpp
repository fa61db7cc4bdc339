#include "net/http_client.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <optional>
#include <utility>

#include "net/chunked.h"
#include "net/head_scanner.h"
#include "net/http_head.h"
#include "net/response_text.h"

namespace fathom::net {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using SystemError = boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kMaxHeadBytes = 256 * 1024;
constexpr std::chrono::milliseconds kCancelPollInterval{50};

// One connection, its operations bounded in time and cancellable though they look blocking.
class Call {
 public:
  explicit Call(const ClientRequest& request) : request_(request), socket_(io_) {}

  // With the TLS handshake, if there is to be one.
  Status connect();
  Status send();
  Result<ResponseHead> read_head();
  // Passes the body on until it ends or `on_data` returns false.
  Status read_body(const ResponseHead& head, const std::function<bool(std::string_view)>& on_data);

 private:
  Status connect_socket();
  Status prepare_tls();
  Status shake_hands();
  // The socket, or the TLS stream over it, to `operation`, which reads or writes.
  template <typename Operation>
  void on_stream(Operation&& operation) {
    tls_ ? operation(*tls_) : operation(socket_);
  }
  Status wait(const bool& done, std::chrono::milliseconds timeout, const char* what);
  // Appends to input_; true at the end of the stream.
  Result<bool> receive();
  Error failure(const char* what, const SystemError& error) const;
  Status read_sized(std::optional<std::uint64_t> size,
                    const std::function<bool(std::string_view)>& on_data);
  Status read_chunked(const std::function<bool(std::string_view)>& on_data);

  const ClientRequest& request_;
  asio::io_context io_{1};
  tcp::socket socket_;
  std::optional<ssl::context> tls_context_;
  std::optional<ssl::stream<tcp::socket&>> tls_;  // over socket_; nothing for http
  std::string input_;
};

std::string action(const char* what, const ClientRequest& request) {
  return std::string(what) + " " + request.url.authority() + ": ";
}

Error Call::failure(const char* what, const SystemError& error) const {
  std::string reason = error.message();
  if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z') reason[0] += 'a' - 'A';
  return {ErrorCode::kUnavailable, action(what, request_) + reason};
}

Status Call::wait(const bool& done, std::chrono::milliseconds timeout, const char* what) {
  const auto deadline = Clock::now() + timeout;
  Status status;
  while (!done) {
    io_.restart();
    io_.run_one_for(kCancelPollInterval);
    if (done) break;
    if (request_.cancelled && request_.cancelled()) {
      status = Error{ErrorCode::kCancelled, action(what, request_) + "cancelled"};
    } else if (Clock::now() >= deadline) {
      status = Error{ErrorCode::kUnavailable, action(what, request_) + "no answer within " +
                                                  std::to_string(timeout.count()) + " ms"};
    }
    if (!status) {
      // The operation's handler still runs, while its result is in scope.
      SystemError ignored;
      socket_.close(ignored);
      io_.restart();
      io_.run();
      return status;
    }
  }
  return status;
}

Status Call::connect() {
  FATHOM_TRY(connect_socket());
  return request_.url.scheme == "https" ? shake_hands() : Status();
}

Status Call::prepare_tls() {
  SystemError error;
  tls_context_.emplace(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(tls_context_->native_handle(), TLS1_2_VERSION);
  if (request_.ca_file.empty()) {
    tls_context_->set_default_verify_paths(error);
  } else {
    tls_context_->load_verify_file(request_.ca_file, error);
    if (error) {
      return Error{ErrorCode::kDataCorrupt,
                   request_.ca_file + ": expected PEM certificates, got: " + error.message()};
    }
  }
  tls_.emplace(socket_, *tls_context_);
  tls_->set_verify_mode(ssl::verify_peer, error);
  tls_->set_verify_callback(ssl::host_name_verification(request_.url.host), error);
  asio::ip::make_address(request_.url.host, error);
  const bool is_name = error.failed();  // an address is not told to the server
  if (is_name) SSL_set_tlsext_host_name(tls_->native_handle(), request_.url.host.c_str());
  return {};
}

Status Call::shake_hands() {
  FATHOM_TRY(prepare_tls());
  SystemError error;
  bool done = false;
  tls_->async_handshake(ssl::stream_base::client, [&](const SystemError& result) {
    error = result;
    done = true;
  });
  FATHOM_TRY(wait(done, request_.connect_timeout, "TLS with"));
  if (!error) return {};
  const long verdict = SSL_get_verify_result(tls_->native_handle());
  if (verdict == X509_V_OK) return failure("TLS with", error);
  return Error{ErrorCode::kUnavailable, action("TLS with", request_) +
                                            "expected a certificate that is trusted, got: " +
                                            X509_verify_cert_error_string(verdict)};
}

Status Call::connect_socket() {
  tcp::resolver resolver(io_);
  SystemError error;
  const auto found = resolver.resolve(request_.url.host, std::to_string(request_.url.port), error);
  if (error) return failure("resolve", error);
  for (const auto& entry : found) {
    bool done = false;
    SystemError ignored;
    socket_.close(ignored);
    socket_.async_connect(entry.endpoint(), [&](const SystemError& result) {
      error = result;
      done = true;
    });
    FATHOM_TRY(wait(done, request_.connect_timeout, "connect to"));
    if (!error) {
      socket_.set_option(tcp::no_delay(true), ignored);
      return {};
    }
  }
  return failure("connect to", error);
}

std::string render_request(const ClientRequest& request) {
  std::string text = request.method + " " + request.url.target +
                     " HTTP/1.1\r\nHost: " + request.url.authority() + "\r\nConnection: close\r\n";
  for (const Header& header : request.headers) text += header.name + ": " + header.value + "\r\n";
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return text + "\r\n" + request.body;
}

Status Call::send() {
  const std::string text = render_request(request_);
  std::size_t sent = 0;
  while (sent < text.size()) {
    SystemError error;
    bool done = false;
    on_stream([&](auto& stream) {
      stream.async_write_some(asio::buffer(text.data() + sent, text.size() - sent),
                              [&](const SystemError& result, std::size_t bytes) {
                                error = result;
                                sent += bytes;
                                done = true;
                              });
    });
    FATHOM_TRY(wait(done, request_.timeout, "send to"));
    // A server may answer and close before it has read all: its answer says why.
    if (error) return {};
  }
  return {};
}

Result<bool> Call::receive() {
  const std::size_t old_size = input_.size();
  input_.resize(old_size + kReadBytes);
  SystemError error;
  std::size_t received = 0;
  bool done = false;
  on_stream([&](auto& stream) {
    stream.async_read_some(asio::buffer(input_.data() + old_size, kReadBytes),
                           [&](const SystemError& result, std::size_t bytes) {
                             error = result;
                             received = bytes;
                             done = true;
                           });
  });
  FATHOM_TRY(wait(done, request_.timeout, "read from"));
  input_.resize(old_size + received);
  if (error == asio::error::eof) return true;
  if (error) return failure("read from", error);
  return false;
}

Result<ResponseHead> Call::read_head() {
  const auto malformed = [&](const std::string& problem) {
    return Error{ErrorCode::kDataCorrupt, action("read from", request_) + problem};
  };
  while (true) {
    HeadScanner scanner;
    HeadScanner::Outcome outcome;
    while ((outcome = scanner.scan(input_)) == HeadScanner::Outcome::kIncomplete) {
      if (input_.size() > kMaxHeadBytes) return malformed("expected shorter headers");
      FATHOM_ASSIGN(const bool ended, receive());
      if (ended) return malformed("expected an HTTP answer, got a closed connection");
    }
    if (outcome == HeadScanner::Outcome::kMalformed) return malformed("expected an HTTP answer");
    ResponseHead head;
    if (auto error = parse_response_head(scanner.head(input_), head)) {
      return malformed(error->message);
    }
    input_.erase(0, scanner.end());
    const bool interim = head.response.status < 200;
    if (!interim) return head;
  }
}

Status Call::read_body(const ResponseHead& head,
                       const std::function<bool(std::string_view)>& on_data) {
  if (request_.method == "HEAD" || !status_has_body(head.response.status)) return {};
  return head.chunked ? read_chunked(on_data) : read_sized(head.content_length, on_data);
}

Error cut_short(const ClientRequest& request) {
  return {ErrorCode::kUnavailable,
          action("read from", request) + "the connection closed before the end of the answer"};
}

Status Call::read_sized(std::optional<std::uint64_t> size,
                        const std::function<bool(std::string_view)>& on_data) {
  std::uint64_t left = size.value_or(UINT64_MAX);
  while (left > 0) {
    const std::string_view data = std::string_view(input_).substr(0, left);
    left -= data.size();
    if (!data.empty() && !on_data(data)) return {};
    input_.clear();
    if (left == 0) break;
    FATHOM_ASSIGN(const bool ended, receive());
    if (ended && size) return cut_short(request_);
    if (ended) break;
  }
  return {};
}

Status Call::read_chunked(const std::function<bool(std::string_view)>& on_data) {
  ChunkedDecoder decoder(UINT64_MAX);
  while (true) {
    std::string data;
    std::string_view rest = input_;
    const ChunkedDecoder::Outcome outcome = decoder.feed(rest, data);
    input_.clear();
    if (!data.empty() && !on_data(data)) return {};
    if (outcome == ChunkedDecoder::Outcome::kDone) return {};
    if (outcome != ChunkedDecoder::Outcome::kNeedMore) {
      return Error{ErrorCode::kDataCorrupt,
                   action("read from", request_) + "malformed chunked coding"};
    }
    FATHOM_ASSIGN(const bool ended, receive());
    if (ended) return cut_short(request_);
  }
}

Status check_request(const ClientRequest& request) {
  const auto has_line_end = [](const std::string& text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos;
  };
  bool forged = has_line_end(request.method) || has_line_end(request.url.target);
  for (const Header& header : request.headers) {
    forged = forged || has_line_end(header.name) || has_line_end(header.value);
  }
  if (!forged) return {};
  return invalid_argument("request: expected method, target and headers without line ends");
}

}  // namespace

Result<int> stream(const ClientRequest& request,
                   const std::function<bool(std::string_view chunk)>& on_data,
                   const std::function<void(const HttpResponse& head)>& on_head) {
  FATHOM_TRY(check_request(request));
  Call call(request);
  FATHOM_TRY(call.connect());
  FATHOM_TRY(call.send());
  FATHOM_ASSIGN(const ResponseHead head, call.read_head());
  if (on_head) on_head(head.response);
  FATHOM_TRY(call.read_body(head, on_data));
  return head.response.status;
}

Result<HttpResponse> request(const ClientRequest& request) {
  HttpResponse response;
  bool too_long = false;
  const auto append = [&](std::string_view data) {
    too_long = data.size() > request.max_body_bytes - response.body.size();
    if (!too_long) response.body += data;
    return !too_long;
  };
  FATHOM_TRY(stream(request, append, [&](const HttpResponse& head) {
    response.status = head.status;
    response.headers = head.headers;
  }));
  if (too_long) {
    return Error{ErrorCode::kResourceExhausted, action("read from", request) + "expected at most " +
                                                    std::to_string(request.max_body_bytes) +
                                                    " bytes"};
  }
  return response;
}

}  // namespace fathom::net
