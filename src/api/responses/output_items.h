// The items of a response as they grow: what the model thinks, says and calls, in its order.
// Every change is also an event, as streams show it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "api/answer_json.h"
#include "api/output_parser.h"

namespace fathom::api::responses {

class OutputItems {
 public:
  using Emit = std::function<void(const char* type, Json event)>;
  // Without `emit` nothing but the items is made; `words` is null without log-probabilities.
  OutputItems(Emit emit, const TokenWords* words) : emit_(std::move(emit)), words_(words) {}

  void add(const OutputDelta& delta);
  // The end of the answer; there is always a message or a call in it.
  void end(bool incomplete);

  const Json& items() const { return items_; }

 private:
  enum class Kind { kNone, kReasoning, kMessage, kCall };
  void take_back_message();
  void add_text(Kind kind, const std::string& text, Json logprobs);
  void add_call(const ToolCallDelta& call);
  void open(Kind kind, Json item);
  void open_part(Json part);
  void close(const char* status);
  void close_text();
  void close_call();
  Json take_logprobs(const OutputDelta& delta) const;
  void emit(const char* type, Json event) const;
  Json place() const;  // item_id and output_index
  Json& item() { return items_.back(); }
  const char* text_event(const char* reasoning, const char* message) const;

  Emit emit_;
  const TokenWords* words_;
  Kind kind_ = Kind::kNone;
  Json items_ = Json::array();
};

}  // namespace fathom::api::responses
