// The items of a response as they grow: what the model thinks, says and calls, in its order.
// Every change is also an event, as streams show it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "api/output/answer_json.h"
#include "api/output/output_parser.h"
#include "api/responses/custom_tool.h"
#include "api/responses/tools.h"

namespace fathom::api::responses {

class OutputItems {
 public:
  using Emit = std::function<void(const char* type, Json event)>;
  // Without `emit` nothing but the items is made; `words` is null without log-probabilities. Calls
  // of `tools` are told in the client's terms.
  OutputItems(Emit emit, const TokenWords* words, ClientTools tools = {})
      : emit_(std::move(emit)), words_(words), tools_(std::move(tools)) {}

  void add(const OutputDelta& delta);
  // The end of the answer; there is always a message or a call in it.
  void end(bool incomplete);

  const Json& items() const { return items_; }

 private:
  enum class Kind { kNone, kReasoning, kMessage, kCall, kCustomCall };
  void take_back_message();
  void add_text(Kind kind, const std::string& text, Json logprobs);
  void add_call(const ToolCallDelta& call);
  void open_call(const ToolCallDelta& call);
  void add_arguments(const std::string& arguments);
  void add_input(const std::string& text);
  void open(Kind kind, Json item);
  void open_part(Json part);
  void close(const char* status);
  void close_text();
  void close_call();
  void keep_logprobs(const OutputDelta& delta);
  void emit(const char* type, Json event) const;
  Json place() const;  // item_id and output_index
  Json& item() { return items_.back(); }
  const char* text_event(const char* reasoning, const char* message) const;

  Emit emit_;
  const TokenWords* words_;
  ClientTools tools_;
  Json logprobs_ = Json::array();  // of tokens whose text has not come
  CustomInput input_;              // of the custom tool's call that is open
  Kind kind_ = Kind::kNone;
  Json items_ = Json::array();
};

}  // namespace fathom::api::responses
