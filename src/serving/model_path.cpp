#include "serving/model_path.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json_file.h"
#include "base/suggest.h"

namespace fathom::serving {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostEntries = 4096;  // looked at in a directory
constexpr size_t kLongestName = 100;   // that messages repeat
constexpr std::array kServedTypes = {"deepseek_v3", "deepseek_v2"};

Error not_found(const fs::path& model, const std::string& text) {
  return {ErrorCode::kNotFound, fmt::format("{}: {}", model.string(), text), model.string()};
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool has_config(const fs::path& directory) {
  std::error_code ignored;
  return fs::is_regular_file(directory / "config.json", ignored);
}

std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code failed;
  for (fs::directory_iterator entry(directory, failed), end;
       !failed && entry != end && entries.size() < kMostEntries; entry.increment(failed)) {
    entries.push_back(entry->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

// "org/name", as hubs call models; a hub's address before it is taken off.
std::optional<std::string> hub_name(std::string text) {
  for (const char* hub : {"https://huggingface.co/", "https://modelscope.cn/models/",
                          "https://www.modelscope.cn/models/"}) {
    if (text.starts_with(hub)) text.erase(0, std::string(hub).size());
  }
  while (text.ends_with('/')) text.pop_back();
  const auto is_plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
  };
  const size_t slash = text.find('/');
  const bool two_parts = slash != std::string::npos && slash > 0 && slash + 1 < text.size() &&
                         text.find('/', slash + 1) == std::string::npos;
  if (!two_parts || text.front() == '.' || !std::all_of(text.begin(), text.end(), is_plain)) {
    return std::nullopt;
  }
  return text;
}

Error absent(const fs::path& model) {
  constexpr const char* kExpected = "not there; expected the directory of a released checkpoint";
  const fs::path parent = model.has_parent_path() ? model.parent_path() : ".";
  if (is_folder(parent)) {
    std::vector<std::string> models;
    for (const fs::path& entry : entries_of(parent)) {
      if (has_config(entry)) models.push_back(entry.filename().string());
    }
    const auto best = nearest(model.filename().string(), models);
    if (!best) return not_found(model, kExpected);
    return not_found(
        model, fmt::format("not there; did you mean {}?", (model.parent_path() / *best).string()));
  }
  const auto name = hub_name(model.string());
  if (!name) return not_found(model, kExpected);
  return not_found(
      model, fmt::format("not there, and nothing is downloaded here; first: hf download {0} "
                         "--local-dir {1} (or: modelscope download --model {0} --local_dir {1}), "
                         "then: --model {1}",
                         *name, name->substr(name->find('/') + 1)));
}

std::string convert_command(const fs::path& gguf) {
  fs::path out = gguf;
  out.replace_extension();
  return fmt::format("fathom convert --model {} --out {}", gguf.string(), out.string());
}

Error file_in_place_of_directory(const fs::path& model) {
  if (model.extension() == ".gguf") {
    return invalid_argument(fmt::format("{}: a GGUF file has to be converted first: {}",
                                        model.string(), convert_command(model)));
  }
  const fs::path parent = model.has_parent_path() ? model.parent_path() : ".";
  if (has_config(parent)) {
    return invalid_argument(fmt::format("{}: expected a directory, got a file; did you mean {}?",
                                        model.string(), parent.string()));
  }
  return invalid_argument(fmt::format(
      "{}: expected the directory of a released checkpoint, got a file", model.string()));
}

// Directories just below that have a config.json; of a download cache those of its snapshots.
std::vector<std::string> models_below(const fs::path& directory) {
  std::vector<std::string> models;
  for (const fs::path& parent : {directory, directory / "snapshots"}) {
    for (const fs::path& entry : entries_of(parent)) {
      if (is_folder(entry) && has_config(entry)) models.push_back(entry.string());
    }
  }
  return models;
}

Error without_config(const fs::path& model) {
  constexpr size_t kMostNamed = 4;
  auto below = models_below(model);
  if (below.size() == 1) {
    return not_found(model, fmt::format("has no config.json; did you mean {}?", below.front()));
  }
  if (!below.empty()) {
    const bool more = below.size() > kMostNamed;
    below.resize(std::min(below.size(), kMostNamed));
    return not_found(model, fmt::format("has no config.json; expected one of {}{}",
                                        fmt::join(below, ", "), more ? ", ..." : ""));
  }
  bool has_weights = false;
  for (const fs::path& entry : entries_of(model)) {
    if (entry.extension() == ".gguf") {
      return not_found(model, fmt::format("has no config.json, but a GGUF file, which has to be "
                                          "converted first: {}",
                                          convert_command(entry)));
    }
    has_weights = has_weights || entry.extension() == ".safetensors";
  }
  return not_found(model, has_weights ? "has weights but no config.json; download that file, too"
                                      : "has no config.json; expected the directory of a released "
                                        "checkpoint (config.json, tokenizer.json, *.safetensors)");
}

// "LlamaForCausalLM", or what else there is to call it by; as JSON.
std::string architecture_of(const nlohmann::json& config) {
  const auto classes = config.find("architectures");
  const bool named = classes != config.end() && classes->is_array() && !classes->empty() &&
                     classes->front().is_string() &&
                     classes->front().get_ref<const std::string&>().size() <= kLongestName;
  return named ? classes->front().dump() : config.at("model_type").dump();
}

Status check_architecture(const fs::path& file) {
  const auto config = read_json_file(file);
  if (!config || !config->is_object()) return {};
  const auto found = config->find("model_type");
  if (found == config->end() || !found->is_string()) return {};
  const auto type = found->get<std::string>();
  if (type.size() > kLongestName) return {};
  if (std::find(kServedTypes.begin(), kServedTypes.end(), type) != kServedTypes.end()) return {};
  return Error{ErrorCode::kUnsupported,
               fmt::format("{}: model_type: expected {}, got {}: a {} model is not served; "
                           "DeepSeek-V3, R1, V2 and what is made of them are",
                           file.string(), fmt::join(kServedTypes, " or "), found->dump(),
                           architecture_of(*config)),
               "model_type"};
}

}  // namespace

Status check_model_directory(const fs::path& model) {
  std::error_code ignored;
  if (!fs::exists(model, ignored)) return absent(model);
  if (!is_folder(model)) return file_in_place_of_directory(model);
  if (!has_config(model)) return without_config(model);
  return check_architecture(model / "config.json");
}

}  // namespace fathom::serving
