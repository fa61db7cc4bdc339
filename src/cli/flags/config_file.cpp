#include "cli/flags/config_file.h"

#include <fmt/format.h>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace fathom::cli {
namespace {

constexpr size_t kMaxConfigBytes = size_t{1} << 20;

int line_of(const toml::node& node) {
  return static_cast<int>(node.source().begin.line);
}

ConfigValue value_of(const toml::node& node) {
  using Kind = ConfigValue::Kind;
  if (const auto* text = node.as_string()) {
    return {Kind::kText, text->get(), fmt::format("the string \"{}\"", text->get())};
  }
  if (const auto* number = node.as_integer()) {
    const std::string text = std::to_string(number->get());
    return {Kind::kInteger, text, text};
  }
  if (const auto* number = node.as_floating_point()) {
    const std::string text = fmt::format("{}", number->get());
    return {Kind::kNumber, text, text};
  }
  if (const auto* boolean = node.as_boolean()) {
    const std::string text = boolean->get() ? "true" : "false";
    return {Kind::kBoolean, text, text};
  }
  const char* written = node.is_table() ? "a table" : node.is_array() ? "a list" : "a date or time";
  return {Kind::kOther, "", written};
}

ConfigEntry entry_of(const toml::key& key, const toml::node& node) {
  ConfigEntry entry{.key = std::string(key.str()),
                    .line = static_cast<int>(key.source().begin.line),
                    .is_list = node.is_array(),
                    .values = {}};
  if (const auto* list = node.as_array()) {
    for (const toml::node& element : *list) entry.values.push_back(value_of(element));
  } else {
    entry.values.push_back(value_of(node));
  }
  return entry;
}

template <typename Item>
void sort_by_line(std::vector<Item>& items) {
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.line < b.line; });
}

ConfigTable table_of(std::string name, const toml::table& table) {
  ConfigTable made{.name = std::move(name), .line = line_of(table), .entries = {}};
  for (const auto& [key, node] : table) made.entries.push_back(entry_of(key, node));
  sort_by_line(made.entries);
  return made;
}

}  // namespace

Result<ConfigFile> parse_config(std::string_view text, const std::string& name) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& problem = parsed.error();
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{}:{}: expected TOML: {}", name, problem.source().begin.line,
                             problem.description()),
                 name};
  }
  ConfigFile file{.name = name, .tables = {}};
  ConfigTable top;
  for (const auto& [key, node] : parsed.table()) {
    if (const auto* table = node.as_table()) {
      file.tables.push_back(table_of(std::string(key.str()), *table));
    } else {
      top.entries.push_back(entry_of(key, node));
    }
  }
  sort_by_line(top.entries);
  sort_by_line(file.tables);
  file.tables.insert(file.tables.begin(), std::move(top));
  return file;
}

Result<ConfigFile> read_config(const std::filesystem::path& path) {
  const auto failed = [&path] {
    return Error{ErrorCode::kNotFound, fmt::format("{}: {}", path.string(), std::strerror(errno)),
                 path.string()};
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) return failed();
  std::string text(kMaxConfigBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return failed();
  if (text.size() > kMaxConfigBytes) {
    return invalid_argument(
        fmt::format("{}: expected a file of at most {} bytes", path.string(), kMaxConfigBytes));
  }
  return parse_config(text, path.string());
}

}  // namespace fathom::cli
