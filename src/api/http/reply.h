// One HTTP answer of this API: JSON or events, always with an x-request-id, counted by route and
// status. It has the request's record, which goes to the log when the answer ends or is let go of.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/http/api_error.h"
#include "api/http/request_log.h"
#include "api/http/request_record.h"
#include "api/text/json_text.h"
#include "base/work_budget.h"
#include "net/http.h"
#include "net/http_app.h"

namespace fathom::api {

class Metrics;

// How many requests the queue takes, and how many more it would take now.
struct Quota {
  int64_t limit = 0;
  int64_t remaining = 0;
};

class Reply {
 public:
  // `log` and `metrics` are shared, as the thread that ends an answer may be the last to let go of
  // a service whose server has stopped.
  Reply(std::shared_ptr<net::ResponseWriter> writer, RequestRecord record,
        std::shared_ptr<RequestLog> log, std::shared_ptr<Metrics> metrics, ErrorShape errors);
  // A client that still waits for a whole answer is told that there will be none.
  ~Reply();
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  // To be filled along the way, by one thread at a time.
  RequestRecord& record() { return *record_; }
  std::shared_ptr<RequestRecord> shared_record() const { return record_; }
  bool wants_texts() const { return log_->wants_texts(); }

  // From now on answers say so in x-ratelimit headers.
  void set_quota(Quota quota) { quota_ = quota; }

  // Adds a header x-fathom-warning that names a part of the request that is not served as asked. To
  // be called before the answer begins. Characters that a header cannot hold become '?'.
  void add_warning(const std::string& text);

  void send(int status, std::string content_type, std::string body);
  void send_json(const Json& body, int status = 200);
  void send_json_text(std::string body);
  // `extra` headers go before the standard ones.
  void send_error(const ApiError& error, std::vector<net::Header> extra = {});

  // Server-sent events. event() and done() are false or without effect once the client is gone.
  void begin_events(std::chrono::milliseconds keep_alive);
  bool event(const Json& data);
  bool event_text(const std::string& data);
  // With a line that names its type, as Responses and Anthropic's API have it.
  bool typed_event(const std::string& type, const Json& data);
  // An error within a stream.
  bool error_event(const ApiError& error);
  void end_events();

  net::ResponseWriter& writer() { return *writer_; }

  // What the request's work before the engine may cost; over once the client is gone.
  const std::shared_ptr<WorkBudget>& budget() const { return budget_; }

 private:
  std::vector<net::Header> headers(const std::string& content_type) const;
  void close_record() noexcept;

  std::shared_ptr<net::ResponseWriter> writer_;
  const std::shared_ptr<RequestRecord> record_;
  const std::shared_ptr<RequestLog> log_;
  const std::shared_ptr<Metrics> metrics_;
  ErrorShape errors_;
  std::optional<Quota> quota_;
  std::vector<std::string> warnings_;
  std::shared_ptr<WorkBudget> budget_;
  bool streams_ = false;
  bool closed_ = false;
};

}  // namespace fathom::api
