#include "cli/commands/doctor.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "comm/load_transport.h"
#include "kvtransfer/load_transport.h"
#include "models/files/safetensors.h"
#include "net/http_server.h"
#include "serving/chips.h"
#include "serving/model_path.h"
#include "serving/stack.h"

namespace fathom::cli {
namespace {

// Findings, each with what to do about it; counts those that keep Fathom from serving.
class Report {
 public:
  void good(const std::string& text) { line("\x1b[32m", "ok  ", text, ""); }
  void note(const std::string& text, const std::string& advice) {
    line("\x1b[33m", "note", text, advice);
  }
  void bad(const std::string& text, const std::string& advice) {
    ++problems_;
    line("\x1b[31m", "fix ", text, advice);
  }
  int problems() const { return problems_; }

 private:
  void line(const char* colour, const char* tag, const std::string& text,
            const std::string& advice) {
    const bool colours = isatty(STDOUT_FILENO) != 0;
    fmt::print("{}{}{}  {}\n", colours ? colour : "", tag, colours ? "\x1b[0m" : "", text);
    if (!advice.empty()) fmt::print("      {}\n", advice);
  }

  int problems_ = 0;
};

std::string size_text(uint64_t bytes) {
  const auto number = static_cast<double>(bytes);
  return bytes < 1'000'000'000 ? fmt::format("{:.1f} MB", number / 1e6)
                               : fmt::format("{:.1f} GB", number / 1e9);
}

void test_chip(Report& report, device::Device& chip) {
  for (const auto& name : chip.self_tests()) {
    const auto passed = chip.self_test(name);
    if (passed) continue;
    report.bad(
        fmt::format("chip {}: self-test {}: {}", chip.backend().name, name, passed.error().message),
        "do not serve with it: its answers would be wrong");
  }
}

void look_at_chips(Report& report) {
  const auto registry = serving::find_chips();
  for (const fathom_backend* backend : registry->backends()) {
    auto device = device::Device::open(*backend, {});
    if (!device) {
      report.note(fmt::format("chip {}: {}", backend->name, device.error().message),
                  "only --chip with its name needs it");
      continue;
    }
    const auto& info = (*device)->info();
    report.good(fmt::format("chip {}: {}, {} free of {}", backend->name, info.name,
                            size_text(info.memory_free), size_text(info.memory_bytes)));
    test_chip(report, **device);
  }
}

// Plug-ins that serving on one rank does not need. Only loading them is tried.
void look_at_plug_ins(Report& report) {
  if (const auto mpi = comm::load_transport()) {
    report.good("several ranks: MPI is there");
  } else {
    report.note(mpi.error().message, "only several ranks (mpirun, Slurm) need it");
  }
  constexpr size_t kAnySize = 1 << 20;
  if (const auto ucx = kvtransfer::load_transport(kAnySize)) {
    report.good("prefill and decode apart: UCX is there");
  } else {
    report.note(ucx.error().message, "only prefill and decode apart need it");
  }
}

void look_at_limits(Report& report) {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < 4096) {
    report.note(fmt::format("at most {} open files, so about as many clients", files.rlim_cur),
                "raise it with: ulimit -n 65536");
  } else {
    report.good(fmt::format("{} open files allowed", files.rlim_cur));
  }
}

// Checks only whether the port is free.
class Nothing : public net::HttpApp {
  void handle(net::HttpRequest, std::shared_ptr<net::ResponseWriter>) override {}
};

void look_at_port(Report& report, int port) {
  net::ServerOptions options;
  options.port = port;
  const auto server = net::HttpServer::start(options, std::make_shared<Nothing>());
  if (server) {
    report.good(fmt::format("port {} is free", port));
  } else {
    report.note(server.error().message, "or a Fathom is serving there already");
  }
}

void look_at_model(Report& report, const std::filesystem::path& model,
                   const serving::StackOptions& stack) {
  if (const auto found = serving::check_model_directory(model); !found) {
    report.bad(found.error().message, "--model takes the directory of a released checkpoint");
    return;
  }
  const auto config = models::deepseek_v3::Config::load(model / "config.json");
  if (!config) {
    report.bad(config.error().message, "--model takes the directory of a released checkpoint");
    return;
  }
  const auto checkpoint = models::Checkpoint::open(model);
  if (!checkpoint) {
    report.bad(checkpoint.error().message, "download the file again");
    return;
  }
  const auto memory = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                      static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
  if (checkpoint->total_bytes() > memory) {
    report.bad(fmt::format("{}: {} of weights, this machine has {}", model.string(),
                           size_text(checkpoint->total_bytes()), size_text(memory)),
               "use a machine with more memory");
    return;
  }
  if (const auto loaded = serving::build_stack(stack); !loaded) {
    report.bad(loaded.error().message, "download the named file again, or choose another model");
    return;
  }
  report.good(fmt::format("{}: {} layers, {} of weights", model.string(), config->num_hidden_layers,
                          size_text(checkpoint->total_bytes())));
}

}  // namespace

int run_doctor(const DoctorOptions& options) {
  Report report;
  look_at_chips(report);
  look_at_plug_ins(report);
  look_at_limits(report);
  look_at_port(report, options.port);
  if (!options.model.empty()) {
    serving::StackOptions stack;
    stack.model = options.model;
    look_at_model(report, options.model, stack);
  }
  const int problems = report.problems();
  fmt::print("\n{}\n", problems == 0 ? "Ready to serve." : fmt::format("{} to fix.", problems));
  return problems == 0 ? 0 : 1;
}

}  // namespace fathom::cli
