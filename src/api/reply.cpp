#include "api/reply.h"

#include <nlohmann/json.hpp>

#include "api/metrics.h"
#include "net/sse.h"

namespace fathom::api {

namespace {
constexpr const char* kJsonType = "application/json";
// Clients refuse answers with too large heads.
constexpr size_t kMaxWarnings = 16;
constexpr size_t kMaxWarningBytes = 300;
}  // namespace

Reply::Reply(std::shared_ptr<net::ResponseWriter> writer, std::string request_id, std::string route,
             Metrics& metrics, ErrorShape errors)
    : writer_(std::move(writer)),
      request_id_(std::move(request_id)),
      route_(std::move(route)),
      metrics_(metrics),
      errors_(errors),
      budget_(std::make_shared<WorkBudget>(WorkBudget::kDefaultUnits, WorkBudget::kDefaultBytes,
                                           [weak = std::weak_ptr<net::ResponseWriter>(writer_)] {
                                             const auto held = weak.lock();
                                             return !held || held->client_gone();
                                           })) {}

void Reply::add_warning(const std::string& text) {
  if (warnings_.size() == kMaxWarnings) return;
  warnings_.push_back(printable(text, kMaxWarningBytes));
}

std::vector<net::Header> Reply::headers(const std::string& content_type) const {
  std::vector<net::Header> all = {{"Content-Type", content_type}, {"X-Request-Id", request_id_}};
  if (errors_ == ErrorShape::kAnthropic) all.push_back({"Request-Id", request_id_});
  if (quota_) {
    all.push_back({"X-RateLimit-Limit-Requests", std::to_string(quota_->limit)});
    all.push_back({"X-RateLimit-Remaining-Requests", std::to_string(quota_->remaining)});
    // A queue has no period after which it would be empty: the time to try again when it is full.
    all.push_back({"X-RateLimit-Reset-Requests",
                   std::to_string(quota_->remaining > 0 ? 0 : kRetryAfterBusySeconds) + "s"});
  }
  for (const std::string& warning : warnings_) all.push_back({"X-Fathom-Warning", warning});
  return all;
}

void Reply::send(int status, std::string content_type, std::string body) {
  metrics_.count_http(route_, status);
  writer_->send({status, headers(content_type), std::move(body)});
}

void Reply::send_json(const Json& body, int status) {
  send(status, kJsonType, dump_json(body));
}

void Reply::send_json_text(std::string body) {
  send(200, kJsonType, std::move(body));
}

void Reply::send_error(const ApiError& error, std::vector<net::Header> extra) {
  metrics_.count_http(route_, error.status);
  if (error.status == 429 && quota_) quota_->remaining = 0;
  std::vector<net::Header> all = headers(kJsonType);
  all.insert(all.begin(), extra.begin(), extra.end());
  if (error.retry_after_s) all.push_back({"Retry-After", std::to_string(*error.retry_after_s)});
  writer_->send({error.status, std::move(all), error_body(error, errors_)});
}

void Reply::begin_events(std::chrono::milliseconds keep_alive) {
  metrics_.count_http(route_, 200);
  std::vector<net::Header> all = headers("text/event-stream; charset=utf-8");
  all.push_back({"Cache-Control", "no-cache"});
  all.push_back({"X-Accel-Buffering", "no"});  // nginx would hold events back
  writer_->begin_stream(200, std::move(all));
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
}

}  // namespace fathom::api
