// The content blocks of a message as they grow. Every change is also an event, as streams show it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "api/output/output_parser.h"
#include "api/text/json_text.h"

namespace fathom::api::anthropic {

class ContentBlocks {
 public:
  using Emit = std::function<void(const char* type, Json event)>;
  // Without `emit` nothing but the blocks is made. Thoughts are signed with `signature`, which
  // clients must give back but nothing here reads.
  ContentBlocks(Emit emit, std::string signature)
      : emit_(std::move(emit)), signature_(std::move(signature)) {}

  void add(const OutputDelta& delta);
  void end();

  const Json& blocks() const { return blocks_; }

 private:
  void take_back_text();
  void add_text(const char* type, const std::string& text);
  void add_call(const ToolCallDelta& call);
  void open(Json block);
  void close();
  void emit_delta(Json delta) const;

  Emit emit_;
  std::string signature_;
  std::string arguments_;  // of the call that is open
  bool open_ = false;
  Json blocks_ = Json::array();
};

}  // namespace fathom::api::anthropic
