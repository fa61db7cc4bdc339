#include "api/http/request_log.h"

#include <chrono>
#include <exception>
#include <vector>

#include "api/http/metrics.h"
#include "base/log.h"

namespace fathom::api {

namespace {

using Value = decltype(LogField::value);

Value text_or_none(const std::string& text) {
  return text.empty() ? Value() : Value(std::string_view(text));
}

std::vector<LogField> fields_of(const RequestRecord& record) {
  const std::chrono::duration<double, std::milli> duration =
      std::chrono::steady_clock::now() - record.received;
  std::vector<LogField> fields = {
      {"request_id", std::string_view(record.id)},
      {"owner", text_or_none(record.owner)},
      {"method", text_or_none(record.method)},
      {"route", std::string_view(record.route)},
      {"model", text_or_none(record.model)},
      {"prompt_tokens", record.prompt_tokens},
      {"cached_tokens", record.cached_tokens},
      {"answer_tokens", record.answer_tokens},
      {"first_token_ms",
       record.first_token_seconds ? Value(*record.first_token_seconds * 1000) : Value()},
      {"duration_ms", duration.count()},
      {"finish", record.finish ? Value(std::string_view(to_string(*record.finish))) : Value()},
      {"status", int64_t{record.status}},
      {"error", text_or_none(record.error)}};
  if (record.prompt) fields.push_back({"prompt", std::string_view(*record.prompt)});
  if (record.answer) fields.push_back({"answer", std::string_view(*record.answer)});
  return fields;
}

}  // namespace

void RequestLog::write(const RequestRecord& record) noexcept {
  try {
    metrics_.request_ended(record);
    const LogLevel level = record.probe ? LogLevel::kDebug : LogLevel::kInfo;
    if (!options_.lines || !log_enabled(level)) return;
    log_fields(level, "request", fields_of(record));
  } catch (const std::exception&) {  // no memory for it
  }
}

}  // namespace fathom::api
