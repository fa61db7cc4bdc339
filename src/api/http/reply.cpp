#include "api/http/reply.h"

#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/http/metrics.h"
#include "net/sse.h"

namespace fathom::api {

namespace {
constexpr const char* kJsonType = "application/json";
// Clients refuse answers whose headers are too large.
constexpr size_t kMaxWarnings = 16;
constexpr size_t kMaxWarningBytes = 300;
}  // namespace

Reply::Reply(std::shared_ptr<net::ResponseWriter> writer, RequestRecord record,
             std::shared_ptr<RequestLog> log, std::shared_ptr<Metrics> metrics, ErrorShape errors)
    : writer_(std::move(writer)),
      record_(std::make_shared<RequestRecord>(std::move(record))),
      log_(std::move(log)),
      metrics_(std::move(metrics)),
      errors_(errors),
      budget_(std::make_shared<WorkBudget>(WorkBudget::kDefaultUnits, WorkBudget::kDefaultBytes,
                                           [weak = std::weak_ptr<net::ResponseWriter>(writer_)] {
                                             const auto held = weak.lock();
                                             return !held || held->client_gone();
                                           })) {}

Reply::~Reply() {
  if (closed_) return;
  if (streams_ || writer_->client_gone()) {
    close_record();
    return;
  }
  try {
    send_error({.message = "the request ended without an answer"});
  } catch (const std::exception&) {  // the writer reports it without allocating
  }
}

// The last that is done with the record, wherever the answer ended.
void Reply::close_record() noexcept {
  if (std::exchange(closed_, true)) return;
  if (writer_->client_gone()) {
    record_->finish = RequestEnd::kCancelled;
    if (!streams_) record_->status = kClientLeftStatus;
  } else if (streams_ && !record_->finish) {
    record_->finish = RequestEnd::kError;  // it was cut
  }
  log_->write(*record_);
}

void Reply::add_warning(const std::string& text) {
  if (warnings_.size() == kMaxWarnings) return;
  warnings_.push_back(printable(text, kMaxWarningBytes));
}

std::vector<net::Header> Reply::headers(const std::string& content_type) const {
  std::vector<net::Header> all = {{"Content-Type", content_type}, {"X-Request-Id", record_->id}};
  if (errors_ == ErrorShape::kAnthropic) all.push_back({"Request-Id", record_->id});
  if (quota_) {
    all.push_back({"X-RateLimit-Limit-Requests", std::to_string(quota_->limit)});
    all.push_back({"X-RateLimit-Remaining-Requests", std::to_string(quota_->remaining)});
    // A queue has no reset period; clients get the time after which to retry when it is full.
    all.push_back({"X-RateLimit-Reset-Requests",
                   std::to_string(quota_->remaining > 0 ? 0 : kRetryAfterBusySeconds) + "s"});
  }
  for (const std::string& warning : warnings_) all.push_back({"X-Fathom-Warning", warning});
  return all;
}

void Reply::send(int status, std::string content_type, std::string body) {
  metrics_->count_http(record_->route, status);
  record_->status = status;
  writer_->send({status, headers(content_type), std::move(body)});
  close_record();
}

void Reply::send_json(const Json& body, int status) {
  send(status, kJsonType, dump_json(body));
}

void Reply::send_json_text(std::string body) {
  send(200, kJsonType, std::move(body));
}

void Reply::send_error(const ApiError& error, std::vector<net::Header> extra) {
  metrics_->count_http(record_->route, error.status);
  note_error(*record_, error);
  if (error.status == 429 && quota_) quota_->remaining = 0;
  std::vector<net::Header> all = headers(kJsonType);
  all.insert(all.begin(), extra.begin(), extra.end());
  if (error.retry_after_s) all.push_back({"Retry-After", std::to_string(*error.retry_after_s)});
  writer_->send({error.status, std::move(all), error_body(error, errors_)});
  close_record();
}

void Reply::begin_events(std::chrono::milliseconds keep_alive) {
  metrics_->count_http(record_->route, 200);
  record_->status = 200;
  std::vector<net::Header> all = headers("text/event-stream; charset=utf-8");
  all.push_back({"Cache-Control", "no-cache"});
  all.push_back({"X-Accel-Buffering", "no"});  // nginx would hold events back
  writer_->begin_stream(200, std::move(all));
  streams_ = true;
  writer_->start_keep_alive("keep-alive", keep_alive);
}

bool Reply::event(const Json& data) {
  return event_text(dump_json(data));
}

bool Reply::event_text(const std::string& data) {
  return writer_->write(net::sse_event(data));
}

bool Reply::typed_event(const std::string& type, const Json& data) {
  return writer_->write(net::sse_event(type, dump_json(data)));
}

bool Reply::error_event(const ApiError& error) {
  const std::string body = error_body(error, errors_);
  if (errors_ == ErrorShape::kOpenAi) return event_text(body);
  return writer_->write(net::sse_event("error", body));
}

void Reply::end_events() {
  writer_->end();
  close_record();
}

}  // namespace fathom::api
