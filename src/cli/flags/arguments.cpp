#include "cli/flags/arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

#include "base/suggest.h"
#include "cli/flags/flag.h"
#include "cli/flags/other_servers.h"

namespace fathom::cli {
namespace {

// One pass over the words.
class Sorter {
 public:
  Sorter(const CLI::App& command, const std::vector<std::string>& words)
      : command_(command), words_(words) {}

  Result<Arguments> run() {
    bool only_positionals = false;
    while (next_ < words_.size()) {
      const std::string word = words_[next_++];
      if (!only_positionals && word == "--") {
        only_positionals = true;
      } else if (!only_positionals && word.size() > 1 && word.front() == '-') {
        take_flag(word);
      } else if (positional_of(command_) != nullptr) {
        sorted_.positionals.push_back(word);
      } else {
        take_model(word);
      }
    }
    if (!layout_flags_.empty()) mistakes_.push_back(layout_advice(layout_flags_));
    if (!mistakes_.empty()) return invalid_argument(fmt::format("{}", fmt::join(mistakes_, "\n")));
    return std::move(sorted_);
  }

 private:
  // "--name=value" has both, "--name" and "-n" one.
  struct Word {
    std::string name;
    std::optional<std::string> value;
  };
  static Word split(const std::string& word) {
    const size_t equals = word.find('=');
    if (!word.starts_with("--") || equals == std::string::npos) return {word, std::nullopt};
    return {word.substr(0, equals), word.substr(equals + 1)};
  }

  void take_flag(const std::string& text) {
    Word word = split(text);
    const CLI::Option* flag = command_.get_option_no_throw(word.name);
    if (flag != nullptr) {
      take_ours(*flag, std::move(word));
    } else if (const OtherName* other = find_other_name(word.name)) {
      take_other(*other, std::move(word));
    } else {
      refuse(word.name);
    }
  }

  void take_ours(const CLI::Option& flag, Word word) {
    if (kind_of(flag) == FlagKind::kSwitch) {
      take_switch(flag, word);
      return;
    }
    const auto value = value_of(word);
    if (!value) return;
    if (auto meant = other_meaning(key_of(flag), *value)) {
      mistakes_.push_back(std::move(*meant));
      return;
    }
    add(flag, word.name, *value);
  }

  void take_switch(const CLI::Option& flag, const Word& word) {
    const auto on = parse_switch(word.value.value_or("true"));
    if (!on) {
      mistakes_.push_back(
          fmt::format("{}: expected {}, got {}", word.name, kSwitchWords, *word.value));
      return;
    }
    sorted_.given[&flag] = {word.name, ""};
    sorted_.words.push_back(word.value ? fmt::format("{}={}", word.name, *on) : word.name);
  }

  void take_other(const OtherName& other, Word word) {
    if (other.ours != nullptr) {
      const CLI::Option* flag = command_.get_option_no_throw(other.ours);
      if (flag == nullptr) return refuse(word.name);
      const auto value = other.takes_value ? value_of(word) : other.value;
      if (value) add(*flag, word.name, *value);
      return;
    }
    std::optional<std::string> value = std::string();
    if (other.takes_value) value = value_of(word);
    if (!value) return;
    if (other.layout != nullptr) {
      layout_flags_.push_back({word.name, other.layout, *value});
    } else {
      mistakes_.push_back(fmt::format("{}: {}", word.name, other.advice));
    }
  }

  void take_model(const std::string& word) {
    const CLI::Option* model = command_.get_option_no_throw("--model");
    if (model == nullptr) {
      mistakes_.push_back(fmt::format("{}: expected a flag, got {}", command_.get_name(), word));
    } else if (const auto given = sorted_.given.find(model); given != sorted_.given.end()) {
      mistakes_.push_back(fmt::format("{}: expected a flag, got {}; the model is {}",
                                      command_.get_name(), word, given->second.value));
    } else {
      add(*model, "--model", word);
    }
  }

  // The value of a flag that takes one: behind its '=', or the next word.
  std::optional<std::string> value_of(const Word& word) {
    if (word.value) return *word.value;
    const bool none = next_ >= words_.size();
    if (none || is_flag(words_[next_])) {
      mistakes_.push_back(fmt::format("{}: expected a value, got {}", word.name,
                                      none ? "none" : "the flag " + words_[next_]));
      return std::nullopt;
    }
    return words_[next_++];
  }
  bool is_flag(const std::string& word) const {
    return word.starts_with("--") && command_.get_option_no_throw(split(word).name) != nullptr;
  }

  void add(const CLI::Option& flag, const std::string& name, const std::string& value) {
    const auto before = sorted_.given.find(&flag);
    if (before != sorted_.given.end() && !is_list(flag)) {
      mistakes_.push_back(fmt::format("{} {}: expected it once, got {} {} before", name, value,
                                      before->second.name, before->second.value));
      return;
    }
    sorted_.given[&flag] = {name, value};
    // Two words: CLI11 takes the word behind "--name=" for its value.
    sorted_.words.push_back("--" + key_of(flag));
    sorted_.words.push_back(value);
  }

  void refuse(const std::string& name) {
    std::string text = "unknown flag " + name;
    const auto best = nearest(name, names_of(command_));
    if (best && name.starts_with("--")) text += "; did you mean " + *best + "?";
    mistakes_.push_back(text);
  }

  const CLI::App& command_;
  const std::vector<std::string>& words_;
  size_t next_ = 0;
  Arguments sorted_;
  std::vector<std::string> mistakes_;
  std::vector<LayoutFlag> layout_flags_;
};

}  // namespace

Result<Arguments> sort_out(const CLI::App& command, const std::vector<std::string>& words) {
  return Sorter(command, words).run();
}

}  // namespace fathom::cli
