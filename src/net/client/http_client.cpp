#include "net/client/http_client.h"

#include <utility>

#include "net/client/resolve.h"
#include "net/client/tls_trust.h"
#include "net/head_scanner.h"

namespace fathom::net {

struct HttpClient::Shared {
  Shared(const Executor& loop, ClientOptions given)
      : executor(loop),
        options(std::move(given)),
        pool(std::make_shared<ConnectionPool>(loop, options.pool)) {}

  const Executor executor;
  const ClientOptions options;
  const std::shared_ptr<ConnectionPool> pool;
  std::shared_ptr<boost::asio::ssl::context> trust;  // null until the first https
};

HttpClient::HttpClient(boost::asio::io_context& io, ClientOptions options)
    : shared_(std::make_shared<Shared>(io.get_executor(), std::move(options))) {}

HttpClient::~HttpClient() {
  shared_->pool->close();
}

std::shared_ptr<HttpCall> HttpClient::call(ClientRequest request) {
  return std::make_shared<HttpCall>(shared_, std::move(request));
}

PoolStats HttpClient::stats() const {
  return shared_->pool->stats();
}

Awaitable<Result<HttpResponse>> HttpClient::request(ClientRequest request) {
  const std::shared_ptr<HttpCall> call = this->call(std::move(request));
  co_return co_await call->whole();
}

HttpCall::HttpCall(std::shared_ptr<HttpClient::Shared> shared, ClientRequest request)
    : shared_(std::move(shared)), request_(std::move(request)) {}

Awaitable<Result<HttpResponse>> HttpCall::head() {
  const bool opened = co_await open();
  if (!opened) co_return *error_;
  std::string text = render_request_head(request_, shared_->options.pool.max_idle > 0);
  place_->connection->send(std::move(text), std::move(request_.body));
  ResponseHead head;
  const bool read = co_await read_head(head);
  if (!read) co_return *error_;
  keep_alive_ = head.keep_alive;
  body_.emplace(head, request_.method == "HEAD");
  body_deadline_ = Deadline::after(request_.body_timeout);
  co_return std::move(head.response);
}

Awaitable<Result<HttpResponse>> HttpCall::whole() {
  Result<HttpResponse> response = co_await head();
  if (!response) co_return response;
  const std::size_t limit = request_.max_body_bytes;
  std::string piece;
  while (true) {
    const Result<bool> more = co_await read(piece);
    if (!more) co_return more.error();
    if (!*more) co_return response;
    if (piece.size() > limit - response->body.size()) {
      fail(reading_error(ErrorCode::kResourceExhausted,
                         "expected at most " + std::to_string(limit) + " bytes"));
      co_return *error_;
    }
    response->body += piece;
  }
}

Awaitable<bool> HttpCall::open() {
  const Status checked = check_request(request_);
  if (!checked) co_return fail(checked.error());
  if (cancelled_) co_return fail({});
  const Deadline deadline = Deadline::after(request_.connect_timeout);
  const bool has_place = co_await wait_for_place(deadline);
  if (!has_place || place_->connection) co_return has_place;
  co_return co_await connect(deadline);
}

Awaitable<bool> HttpCall::wait_for_place(Deadline deadline) {
  const std::shared_ptr<ConnectionPool::Turn> turn =
      shared_->pool->ask(request_.url.scheme + "://" + request_.url.authority());
  pending_ = std::shared_ptr<Event>(turn, &turn->event);
  co_await pending_->wait_until(deadline.at);
  pending_ = nullptr;
  if (turn->place && !cancelled_) {
    place_ = std::move(turn->place);
    co_return true;
  }
  co_return fail({ErrorCode::kUnavailable, "connect to " + request_.url.authority() +
                                               ": no connection free within " +
                                               std::to_string(deadline.given.count()) + " ms"});
}

Awaitable<bool> HttpCall::connect(Deadline deadline) {
  const bool is_https = request_.url.scheme == "https";
  if (is_https && !shared_->trust) {
    Result<std::shared_ptr<boost::asio::ssl::context>> trust = make_trust(shared_->options.ca_file);
    if (!trust) co_return fail(trust.error());
    shared_->trust = std::move(*trust);
  }
  pending_ = std::make_shared<Event>(shared_->executor);
  const Result<Endpoints> endpoints =
      co_await resolve(shared_->executor, request_.url, pending_, deadline);
  pending_ = nullptr;
  if (!endpoints || cancelled_) co_return fail(endpoints ? Error{} : endpoints.error());
  const auto connection =
      std::make_shared<ClientConnection>(shared_->executor, request_.url.authority());
  place_->connection = connection;
  const Status connected = co_await connection->connect(*endpoints, deadline);
  if (!connected) co_return fail(connected.error());
  if (!is_https) co_return true;
  const Status secured =
      co_await connection->shake_hands(shared_->trust, request_.url.host, deadline);
  co_return secured.ok() || fail(secured.error());
}

Awaitable<bool> HttpCall::read_head(ResponseHead& head) {
  const Deadline deadline = Deadline::after(request_.head_timeout);
  const std::size_t limit = shared_->options.max_head_bytes;
  bool is_interim = true;
  while (is_interim) {
    HeadScanner scanner;
    HeadScanner::Outcome outcome = scanner.scan(input_);
    while (outcome == HeadScanner::Outcome::kIncomplete && input_.size() <= limit) {
      const bool received = co_await receive(deadline);
      if (!received) co_return false;
      if (ended_) {
        co_return fail(reading_error(ErrorCode::kDataCorrupt,
                                     "expected an HTTP answer, got a closed connection"));
      }
      outcome = scanner.scan(input_);
    }
    const bool complete = outcome == HeadScanner::Outcome::kComplete;
    if (outcome == HeadScanner::Outcome::kMalformed) {
      co_return fail(reading_error(ErrorCode::kDataCorrupt, "expected an HTTP answer"));
    }
    if ((complete ? scanner.end() : input_.size()) > limit) {
      co_return fail(
          reading_error(ErrorCode::kResourceExhausted,
                        "expected headers of at most " + std::to_string(limit) + " bytes"));
    }
    head = {};
    if (const auto error = parse_response_head(scanner.head(input_), head)) {
      co_return fail(reading_error(ErrorCode::kDataCorrupt, error->message));
    }
    input_.erase(0, scanner.end());
    is_interim = head.response.status < 200;
  }
  co_return true;
}

Awaitable<Result<bool>> HttpCall::read(std::string& piece) {
  piece.clear();
  while (!error_ && place_) {
    if (cancelled_) {
      fail({});
      break;
    }
    const BodyDecoder::Outcome outcome = body_->feed(input_, piece);
    if (outcome == BodyDecoder::Outcome::kMalformed) {
      fail(reading_error(ErrorCode::kDataCorrupt, "malformed chunked coding"));
      break;
    }
    if (outcome == BodyDecoder::Outcome::kDone) finish();
    if (!piece.empty()) co_return true;
    if (outcome == BodyDecoder::Outcome::kDone) break;
    if (ended_ && body_->ends_with_connection()) {
      place_ = nullptr;
      break;
    }
    if (ended_) {
      fail(reading_error(ErrorCode::kUnavailable,
                         "the connection closed before the end of the answer"));
      break;
    }
    co_await receive(earlier(Deadline::after(request_.silence_timeout), body_deadline_));
  }
  if (error_) co_return *error_;
  co_return false;
}

Awaitable<bool> HttpCall::receive(Deadline deadline) {
  const std::shared_ptr<ClientConnection> connection = place_->connection;
  const Result<bool> more = co_await connection->receive(input_, deadline);
  if (cancelled_ || !more) co_return fail(more ? Error{} : more.error());
  ended_ = !*more;
  co_return true;
}

void HttpCall::finish() {
  if (keep_alive_ && input_.empty() && !place_->connection->is_sending()) place_->keep();
  place_ = nullptr;
}

void HttpCall::cancel() {
  cancelled_ = true;
  if (pending_) pending_->set();
  if (place_ && place_->connection) place_->connection->close();
}

bool HttpCall::fail(Error error) {
  if (cancelled_) {
    error = {ErrorCode::kCancelled, "request to " + request_.url.authority() + ": cancelled"};
  }
  error_ = std::move(error);
  may_have_reached_ = place_ && place_->connection && place_->connection->may_have_reached();
  place_ = nullptr;
  return false;
}

Error HttpCall::reading_error(ErrorCode code, const std::string& problem) const {
  return {code, "read from " + request_.url.authority() + ": " + problem};
}

}  // namespace fathom::net
