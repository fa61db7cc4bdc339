// `fathom serve`: one engine with its API.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "api/service.h"
#include "base/result.h"
#include "cli/dry_run.h"
#include "cli/stack.h"
#include "net/http_server.h"

namespace fathom::cli {

struct ServeOptions {
  StackOptions stack;
  std::string host = "127.0.0.1";
  int port = 8000;
  std::string model_name;  // "": the name of the model's directory
  bool thinking = false;   // think unless a request says otherwise
  int64_t max_body_mib = 32;
  int64_t shutdown_seconds = 60;  // how long running answers may take after SIGTERM
  DryRunOptions dry_run;
  bool check_only = false;  // load everything, say whether it is good, and end
};

// The API over a stack, listening. Destroyed front to back: first no more requests, then no engine.
class ServingStack {
 public:
  // `stack` has the engine.
  static Result<std::unique_ptr<ServingStack>> start(const ServeOptions& options, Stack stack);
  ~ServingStack();

  std::string url() const;
  const std::string& model_name() const { return model_name_; }
  // Refuses new requests, lets running answers finish for at most `patience`, then cuts the rest.
  // Whether all finished.
  bool shut_down(std::chrono::milliseconds patience);

 private:
  explicit ServingStack(Stack stack) : stack_(std::move(stack)) {}

  std::string host_;
  std::string model_name_;
  Stack stack_;
  std::unique_ptr<api::ApiService> service_;
  std::unique_ptr<net::HttpServer> server_;
};

// Serves until SIGTERM or SIGINT. Returns the process's exit code.
int run_serve(const ServeOptions& options);

}  // namespace fathom::cli
