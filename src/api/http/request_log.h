// Where every request ends: a line of the log, and the counts of its owner.
#pragma once

#include "api/http/request_record.h"

namespace fathom::api {

class Metrics;

struct RequestLogOptions {
  bool lines = false;  // a line for each request; for probes only at level debug
  bool texts = false;  // with the prompt and the answer in it
};

class RequestLog {
 public:
  RequestLog(Metrics& metrics, RequestLogOptions options) : metrics_(metrics), options_(options) {}

  // Whether records are to hold texts.
  bool wants_texts() const { return options_.lines && options_.texts; }
  // Records a request that has ended. Thread-safe and non-blocking. Without memory the record is
  // dropped.
  void write(const RequestRecord& record) noexcept;

 private:
  Metrics& metrics_;
  const RequestLogOptions options_;
};

}  // namespace fathom::api
