#include "net/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "net/response_text.h"
#include "net/sse.h"

namespace fathom::net {
namespace {

class ExchangeWriter final : public ResponseWriter {
 public:
  explicit ExchangeWriter(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~ExchangeWriter() override { exchange_->abandon(); }

  void send(HttpResponse response) override { exchange_->send(std::move(response)); }
  void begin_stream(int status, std::vector<Header> headers) override {
    exchange_->begin_stream(status, std::move(headers));
  }
  bool write(std::string_view data) override { return exchange_->write(data); }
  void end() override { exchange_->end(); }
  bool client_gone() const override { return exchange_->gone(); }
  void on_client_gone(std::function<void()> callback) override {
    exchange_->on_gone(std::move(callback));
  }
  void start_keep_alive(std::string comment, std::chrono::milliseconds interval) override {
    exchange_->start_keep_alive(std::move(comment), interval);
  }

 private:
  std::shared_ptr<Exchange> exchange_;
};

void call(const std::function<void()>& function) {
  try {
    if (function) function();
  } catch (const std::exception& error) {
    log_error("net: on_client_gone: {}", error.what());
  }
}

// How many writes as large as a stream's largest may be unsent beyond stream_buffer_bytes. The
// first and last events of an answer repeat it, several in a row.
constexpr std::size_t kLargestWritesBeyond = 4;
// Room for the head of a chunk or its end.
constexpr std::size_t kChunkFramingBytes = 32;

// Sent when there is no memory for anything else; of it, the head alone answers HEAD.
constexpr std::string_view kLastResortHead =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    "Content-Length: 101\r\nRetry-After: 5\r\nConnection: close\r\n\r\n";
constexpr std::string_view kLastResortBody =
    R"({"error":{"message":"out of memory","type":"service_unavailable_error","param":null,)"
    R"("code":"memory"}})";
static_assert(kLastResortBody.size() == 101);

}  // namespace

std::shared_ptr<ResponseWriter> make_response_writer(std::shared_ptr<Exchange> exchange) {
  return std::make_shared<ExchangeWriter>(std::move(exchange));
}

std::string render_final_response(const HttpResponse& response) {
  std::string text = render_response_head(response, {BodyFraming::kContentLength, false, false});
  if (status_has_body(response.status)) text += response.body;
  return text;
}

Exchange::Exchange(ExchangeOptions options) : options_(std::move(options)) {
  queued_.reserve(kLastResortHead.size() + kLastResortBody.size());
}

bool Exchange::accept_call(bool in_order, const char* call) const {
  if (gone_) return false;
  if (!in_order) log_error("net: ResponseWriter::{} called out of order, ignored", call);
  return in_order;
}

bool Exchange::must_wake() {
  return !std::exchange(woken_, true);
}

void Exchange::queue_head(HttpResponse& response, bool stream) {
  response.headers.insert(response.headers.end(), options_.extra_headers.begin(),
                          options_.extra_headers.end());
  HeadOptions head;
  head.is_http_1_0 = options_.is_http_1_0;
  head.framing = !stream                ? BodyFraming::kContentLength
                 : options_.is_http_1_0 ? BodyFraming::kUntilClose
                                        : BodyFraming::kChunked;
  head.keep_alive =
      options_.keep_alive && !asks_to_close(response) && head.framing != BodyFraming::kUntilClose;
  close_after_ = !head.keep_alive;
  drops_body_ = options_.is_head_request || !status_has_body(response.status);
  chunked_ = head.framing == BodyFraming::kChunked && !drops_body_;
  const std::string text = render_response_head(response, head);
  const bool has_body = !stream && !drops_body_;
  queued_.reserve(text.size() + (has_body ? response.body.size() : 0));
  queued_ += text;
  if (has_body) queued_ += response.body;
}

void Exchange::queue_chunk(std::string_view data) {
  queued_.reserve(queued_.size() + data.size() + kChunkFramingBytes);  // all of it or nothing
  last_write_ = Clock::now();
  if (chunked_) fmt::format_to(std::back_inserter(queued_), "{:x}\r\n", data.size());
  queued_ += data;
  if (chunked_) queued_ += "\r\n";
}

void Exchange::send(HttpResponse response) {
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (!accept_call(state_ == State::kNoAnswer, "send")) return;
    queue_head(response, false);
    state_ = State::kEnded;
    wake = must_wake();
  }
  if (wake) options_.wake();
}

void Exchange::begin_stream(int status, std::vector<Header> headers) {
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (!accept_call(state_ == State::kNoAnswer, "begin_stream")) return;
    HttpResponse response{status, std::move(headers), ""};
    queue_head(response, true);
    last_write_ = Clock::now();
    state_ = State::kStreaming;
    wake = must_wake();
  }
  if (wake) options_.wake();
}

std::size_t Exchange::most_unsent() const {
  return options_.stream_buffer_bytes + kLargestWritesBeyond * largest_write_;
}

bool Exchange::write(std::string_view data) {
  bool wake = false;
  bool fits = true;
  {
    const std::scoped_lock lock(mutex_);
    if (!accept_call(state_ == State::kStreaming, "write")) return false;
    if (broken_) return false;
    if (data.empty() || drops_body_) return true;
    queue_chunk(data);
    largest_write_ = std::max(largest_write_, data.size());
    fits = queued_.size() + in_flight_ <= most_unsent();
    if (fits) {
      wake = must_wake();
    } else {
      broken_ = slow_reader_ = wake = true;
      queued_ = {};
    }
  }
  if (wake) options_.wake();
  return fits;
}

void Exchange::end() {
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (!accept_call(state_ == State::kStreaming, "end")) return;
    if (chunked_) queued_ += "0\r\n\r\n";
    state_ = State::kEnded;
    wake = must_wake();
  }
  if (wake) options_.wake();
}

void Exchange::on_gone(std::function<void()> callback) {
  {
    const std::scoped_lock lock(mutex_);
    if (!gone_) {
      if (!finished_) gone_callback_ = std::move(callback);
      return;
    }
  }
  call(callback);
}

void Exchange::start_keep_alive(std::string comment, std::chrono::milliseconds interval) {
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (!accept_call(state_ == State::kStreaming, "start_keep_alive")) return;
    if (drops_body_) return;
    keep_alive_comment_ = sse_comment(comment);
    keep_alive_interval_ = interval;
    wake = must_wake();
  }
  if (wake) options_.wake();
}

void Exchange::abandon() noexcept {
  bool wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (gone_ || state_ == State::kEnded) return;
    if (state_ == State::kStreaming) {
      broken_ = true;
      wake = true;
    }
  }
  if (wake) return options_.wake();
  try {
    send(options_.error_response(500, "the request ended without an answer"));
  } catch (const std::exception&) {
    send_last_resort();
  }
}

// Allocates nothing: the constructor has made room.
void Exchange::send_last_resort() noexcept {
  {
    const std::scoped_lock lock(mutex_);
    if (gone_) return;
    queued_ = kLastResortHead;
    if (!options_.is_head_request) queued_ += kLastResortBody;
    close_after_ = true;
    state_ = State::kEnded;
  }
  options_.wake();
}

Exchange::Phase Exchange::take(std::string& output) {
  const std::scoped_lock lock(mutex_);
  woken_ = false;
  output.clear();
  std::swap(output, queued_);
  in_flight_ = output.size();
  return state_ == State::kEnded ? Phase::kComplete : Phase::kOpen;
}

void Exchange::finish(bool delivered) {
  std::function<void()> callback;
  {
    const std::scoped_lock lock(mutex_);
    if (std::exchange(finished_, true)) return;
    callback = std::exchange(gone_callback_, nullptr);
    gone_.store(!delivered, std::memory_order_release);
    queued_ = {};
  }
  if (!delivered) call(callback);
}

bool Exchange::close_after() const {
  const std::scoped_lock lock(mutex_);
  return close_after_;
}

bool Exchange::slow_reader() const {
  const std::scoped_lock lock(mutex_);
  return slow_reader_;
}

bool Exchange::broken() const {
  const std::scoped_lock lock(mutex_);
  return broken_;
}

Exchange::Clock::time_point Exchange::keep_alive_due() const {
  const std::scoped_lock lock(mutex_);
  const bool wanted = !keep_alive_comment_.empty() && state_ == State::kStreaming && !finished_;
  return wanted ? last_write_ + keep_alive_interval_ : Clock::time_point::max();
}

void Exchange::queue_keep_alive(Clock::time_point now) {
  if (now < keep_alive_due()) return;
  const std::scoped_lock lock(mutex_);
  if (state_ != State::kStreaming) return;
  // While the socket is busy a comment would only add to the queue of a slow reader.
  if (in_flight_ == 0) queue_chunk(keep_alive_comment_);
  last_write_ = now;
}

}  // namespace fathom::net
