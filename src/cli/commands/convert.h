// `fathom convert`: a model in another format, on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace fathom::cli {

struct ConvertOptions {
  std::filesystem::path model;  // a directory or a GGUF file
  std::string synthetic;        // or the name of a synthetic model
  std::string to = "fathom";    // "fathom": a model directory; "gguf": one file
  std::string weights;          // of the kinds that `to` has; "": its default
  std::filesystem::path out;
  int64_t shard_mib = 4096;
  int threads = 0;  // 0: one a core
  std::filesystem::path weight_report;
};

// Returns the process's exit code.
int run_convert(const ConvertOptions& options);

}  // namespace fathom::cli
