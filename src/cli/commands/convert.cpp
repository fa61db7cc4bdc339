#include "cli/commands/convert.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <vector>

#include "base/log.h"
#include "models/deepseek_v3/gguf/gguf_writer.h"
#include "models/deepseek_v3/weights/checkpoint_writer.h"
#include "serving/gguf_tokenizer.h"
#include "serving/model_input.h"
#include "serving/progress.h"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;

Status write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return Error{ErrorCode::kIo, path.string() + ": cannot be written", path.string()};
  return {};
}

Result<serving::ModelInput> open_input(const ConvertOptions& options) {
  if (options.model.empty() == options.synthetic.empty()) {
    return invalid_argument("expected one of --model and --synthetic");
  }
  if (!options.synthetic.empty()) return serving::open_synthetic(options.synthetic);
  std::error_code ignored;
  return fs::is_regular_file(options.model, ignored) ? serving::open_gguf(options.model)
                                                     : serving::open_directory(options.model);
}

// A model directory at `directory`, which does not exist yet.
Status write_directory(const serving::ModelInput& input, const ConvertOptions& options,
                       const dsv3::LoadOptions& load, const fs::path& directory) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  if (failed) return Error{ErrorCode::kIo, directory.string() + ": " + failed.message()};
  FATHOM_ASSIGN(
      const nlohmann::json quantization,
      dsv3::write_checkpoint(*input.source, dsv3::list_tensors(input.config, *input.source),
                             directory, static_cast<uint64_t>(options.shard_mib) << 20, load));
  nlohmann::json config = input.config_json;
  config.erase("quantization_config");
  if (!quantization.is_null()) config["quantization_config"] = quantization;
  FATHOM_TRY(write_text(directory / "config.json", config.dump(2) + "\n"));
  for (const auto& [name, text] : input.texts) FATHOM_TRY(write_text(directory / name, text));
  return {};
}

Result<models::WeightFormat> weight_format(const std::string& name) {
  if (name.empty()) return models::WeightFormat::kAsStored;
  for (const auto format : models::kWeightFormats) {
    if (name == models::to_string(format)) return format;
  }
  return invalid_argument(
      fmt::format("--weights: expected as-stored, bf16, fp8, int8 or int4, got {}", name));
}

Result<models::GgmlType> gguf_type(const std::string& name) {
  if (name.empty() || name == "bf16") return models::GgmlType::kBF16;
  if (name == "f16") return models::GgmlType::kF16;
  if (name == "q8_0") return models::GgmlType::kQ8_0;
  if (name == "q4_0") return models::GgmlType::kQ4_0;
  return invalid_argument(
      fmt::format("--weights: expected bf16, f16, q8_0 or q4_0 with --to gguf, got {}", name));
}

Status write_file(const serving::ModelInput& input, models::GgmlType type,
                  const dsv3::LoadOptions& load, const fs::path& file) {
  models::GgufHeader header;
  header.add("general.name", std::string_view(fs::path(input.name).filename().string()));
  FATHOM_TRY(serving::add_gguf_tokenizer(input.texts, input.config.vocab_size, header));
  if (input.config.num_nextn_predict_layers > 0) log_info("GGUF has no MTP layer: it is left out");
  return dsv3::write_gguf(*input.source, input.config, type, std::move(header), file, load);
}

// Writes beside the place that is wanted, and moves there what is complete.
Status convert(const ConvertOptions& options, dsv3::LoadOptions load) {
  std::error_code ignored;
  if (fs::exists(options.out, ignored)) {
    return invalid_argument(
        fmt::format("--out: expected a path that does not exist, got {}", options.out.string()));
  }
  FATHOM_ASSIGN(const serving::ModelInput input, open_input(options));
  const fs::path out = options.out.has_filename() ? options.out : options.out.parent_path();
  const fs::path partial = out.string() + fmt::format(".partial-{}", getpid());
  Status status;
  if (options.to == "gguf") {
    FATHOM_ASSIGN(const models::GgmlType type, gguf_type(options.weights));
    status = write_file(input, type, load, partial);
  } else {
    FATHOM_ASSIGN(load.format, weight_format(options.weights));
    status = write_directory(input, options, load, partial);
  }
  if (status) {
    std::error_code failed;
    fs::rename(partial, out, failed);
    if (failed) status = Error{ErrorCode::kIo, out.string() + ": " + failed.message()};
  }
  if (!status) fs::remove_all(partial, ignored);
  return status;
}

}  // namespace

int run_convert(const ConvertOptions& options) {
  models::WeightReport report;
  serving::ProgressBar bar("writing " + options.out.string(), true);
  dsv3::LoadOptions load;
  load.threads = options.threads;
  load.report = &report;
  load.progress = [&bar](size_t done, size_t total) { bar.update(done, total); };
  auto status = convert(options, load);
  bar.finish();
  if (status && !options.weight_report.empty()) status = report.write(options.weight_report);
  if (!status) {
    log_error("convert: {}", status.error().message);
    return 1;
  }
  if (const auto summary = report.summary(); !summary.empty()) log_info("weights: {}", summary);
  fmt::print("{}\n", options.out.string());
  return 0;
}

}  // namespace fathom::cli
