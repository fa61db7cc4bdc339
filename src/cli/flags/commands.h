// The commands of the binary, each with its flags. What they write to must outlive `app`.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/chat/chat.h"
#include "cli/commands/bench.h"
#include "cli/commands/convert.h"
#include "cli/commands/devices.h"
#include "cli/commands/doctor.h"
#include "cli/serve/serve.h"

namespace fathom::cli {

void add_serve(CLI::App& app, ServeOptions& options);
void add_chat(CLI::App& app, ChatOptions& options);
void add_bench(CLI::App& app, BenchOptions& options);
void add_convert(CLI::App& app, ConvertOptions& options);
void add_devices(CLI::App& app, DevicesOptions& options);
void add_doctor(CLI::App& app, DoctorOptions& options);

}  // namespace fathom::cli
