// `fathom serve`: one engine with its API.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "api/service.h"
#include "base/result.h"
#include "cli/serve/dry_run.h"
#include "cli/serve/edge_settings.h"
#include "cli/serve/log_options.h"
#include "cli/serve/reloader.h"
#include "net/http_server.h"
#include "net/tls.h"
#include "serving/stack.h"

namespace fathom::cli {

struct ServeOptions {
  serving::StackOptions stack;
  EdgeSettings edge;
  LogOptions log;
  std::string model_name;                 // "": the name of the model's directory
  bool thinking = false;                  // think unless a request says otherwise
  std::vector<std::string> aliases;       // further names (api/context/model_alias.h)
  int64_t keep_responses_seconds = 3600;  // for previous_response_id
  int64_t keep_responses_mib = 256;       // of them in memory at most
  int64_t answer_memory_mib = 2048;       // of answers with log-probabilities
  bool expert_metrics = false;            // /metrics has a counter for each expert
  int64_t shutdown_seconds = 60;          // how long running answers may take after a signal
  DryRunOptions dry_run;
  bool check_only = false;  // load everything, say whether it is good, and end
};

// What the server's files hold, and what reads them again when they change.
struct EdgeFiles {
  std::shared_ptr<api::ApiKeys> keys = {};     // null: none
  std::shared_ptr<net::TlsIdentity> tls = {};  // null: plain HTTP
  Reloader reloader = {};

  // Errors name the file that is wrong.
  static Result<EdgeFiles> load(const EdgeSettings& edge);
};

// The API over a stack, listening. Members are destroyed in reverse: server, service, prefill
// server, engine.
class ServingStack {
 public:
  // `stack` has the engine, `files` are those that `options` name.
  static Result<std::unique_ptr<ServingStack>> start(const ServeOptions& options,
                                                     serving::Stack stack, EdgeFiles files);
  ~ServingStack();

  const std::string& url() const { return url_; }
  const std::string& model_name() const { return model_name_; }
  // Refuses new requests and lets running answers finish for at most `patience`. Then ends the rest
  // with an error and cuts connections that do not read it. Returns whether all finished.
  bool shut_down(std::chrono::milliseconds patience);
  const device::Device& device() const { return *stack_.device; }
  // The files that may be replaced while it serves.
  Reloader& reloader() { return reloader_; }

 private:
  explicit ServingStack(serving::Stack stack) : stack_(std::move(stack)) {}

  std::string url_;
  std::string model_name_;
  Reloader reloader_;
  serving::Stack stack_;
  std::unique_ptr<kvtransfer::PrefillServer> prefill_;  // of a prefill engine
  std::shared_ptr<api::ApiService> service_;
  std::unique_ptr<net::HttpServer> server_;
};

// Serves until SIGTERM, SIGINT or SIGUSR1, or until the chip is lost. Returns the process's exit
// code.
int run_serve(ServeOptions options);

}  // namespace fathom::cli
