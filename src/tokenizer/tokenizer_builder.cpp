#include "tokenizer/tokenizer_builder.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "tokenizer/byte_alphabet.h"

namespace fathom::tokenizer {
namespace {

constexpr size_t kMaxQuoted = 40;  // characters of a file's own text in a message

Error file_error(ErrorCode code, const std::string& field, const std::string& expected,
                 const std::string& got) {
  return {code, "tokenizer.json: " + field + ": expected " + expected + ", got " + got, field};
}

std::string quote(std::string_view text) {
  if (text.size() <= kMaxQuoted) return '"' + std::string(text) + '"';
  return "a string of " + std::to_string(text.size()) + " bytes";
}

class Builder {
 public:
  Builder(const TokenizerFile& file, const TokenizerConfig& config)
      : file_(file), config_(config) {}

  Result<TokenizerTables> run() {
    FATHOM_TRY(index_vocabulary());
    FATHOM_TRY(index_added_tokens());
    FATHOM_TRY(find_byte_tokens());
    FATHOM_TRY(make_rules());
    FATHOM_TRY(make_pre_tokenizer());
    tables_.bpe = Bpe(make_vocabulary(), byte_tokens_, rules_, file_.ignore_merges);
    FATHOM_ASSIGN(tables_.bos, config_token("bos_token", config_.bos_token));
    FATHOM_ASSIGN(tables_.eos, config_token("eos_token", config_.eos_token));
    return std::move(tables_);
  }

 private:
  Status index_vocabulary() {
    for (const auto& [token, id] : file_.vocabulary) size_ = std::max(size_, id + 1);
    for (const AddedToken& token : file_.added_tokens) size_ = std::max(size_, token.id + 1);
    std::vector<Vocabulary::Entry> entries;
    entries.reserve(file_.vocabulary.size());
    is_written_.resize(size_);
    for (const auto& [token, id] : file_.vocabulary) {
      if (is_written_[id]) return not_unique(token, id);
      is_written_[id] = true;
      entries.push_back({id, token, true});
    }
    written_ = Vocabulary(entries, size_);
    for (const auto& [token, id] : file_.vocabulary) {
      if (written_.find(token) != id) return not_unique(token, id);
    }
    return {};
  }

  static Error not_unique(const std::string& token, TokenId id) {
    return file_error(ErrorCode::kDataCorrupt, "model.vocab", "every token and every id once",
                      quote(token) + " as " + std::to_string(id));
  }

  Status index_added_tokens() {
    tables_.is_added.resize(size_);
    tables_.is_special.resize(size_);
    for (size_t i = 0; i < file_.added_tokens.size(); ++i) {
      const AddedToken& token = file_.added_tokens[i];
      const std::string field = "added_tokens[" + std::to_string(i) + "]";
      if (tables_.is_added[token.id] ||
          !tables_.added_ids.emplace(token.content, token.id).second) {
        return file_error(ErrorCode::kDataCorrupt, field, "an id and content of its own",
                          quote(token.content) + " as " + std::to_string(token.id));
      }
      if (is_written_[token.id] && written_.bytes(token.id) != token.content) {
        return file_error(ErrorCode::kDataCorrupt, field + ".id",
                          "an id that is free in model.vocab", std::to_string(token.id));
      }
      tables_.is_added[token.id] = true;
      tables_.is_special[token.id] = token.special;
      (token.normalized ? tables_.added_second : tables_.added_first).add(token.content, token.id);
    }
    return {};
  }

  Status find_byte_tokens() {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string& written = byte_alphabet()[byte];
      const TokenId id = written_.find(written);
      if (id == kNoToken) {
        return file_error(ErrorCode::kUnsupported, "model.vocab", "a token for each of 256 bytes",
                          "none for byte " + std::to_string(byte) + " (" + written + ")");
      }
      if (tables_.is_added[id]) return added_from_text("model.vocab", written);
      byte_tokens_[byte] = id;
    }
    return {};
  }

  static Error added_from_text(const std::string& field, std::string_view token) {
    return file_error(ErrorCode::kUnsupported, field, "no added token that plain text could become",
                      quote(token));
  }

  Status make_rules() {
    rules_.reserve(file_.merges.size());
    for (size_t i = 0; i < file_.merges.size(); ++i) {
      const auto& [left, right] = file_.merges[i];
      const std::string together = left + right;
      const std::array<std::string_view, 3> parts = {left, right, together};
      std::array<TokenId, 3> ids;
      for (size_t part = 0; part < parts.size(); ++part) {
        ids[part] = written_.find(parts[part]);
        if (ids[part] == kNoToken) {
          return file_error(ErrorCode::kDataCorrupt, merge_field(i), "tokens of model.vocab",
                            quote(parts[part]));
        }
      }
      if (tables_.is_added[ids[2]]) return added_from_text(merge_field(i), parts[2]);
      rules_.push_back({ids[0], ids[1], ids[2]});
    }
    return {};
  }

  static std::string merge_field(size_t index) {
    return "model.merges[" + std::to_string(index) + "]";
  }

  Status make_pre_tokenizer() {
    Result<PreTokenizer> made = PreTokenizer::create(file_.split_patterns);
    if (!made) return made.error().with_context("tokenizer.json");
    tables_.pre_tokenizer = std::move(made).value();
    return {};
  }

  Vocabulary make_vocabulary() const {
    std::vector<std::string> decoded;  // what the entries point to
    decoded.reserve(file_.vocabulary.size());
    std::vector<Vocabulary::Entry> entries;
    entries.reserve(file_.vocabulary.size() + file_.added_tokens.size());
    for (const auto& [token, id] : file_.vocabulary) {
      if (tables_.is_added[id]) continue;
      std::optional<std::string> bytes = bytes_from_alphabet(token);
      // Like Hugging Face's decoder: a token with other characters stands for its own UTF-8.
      const bool findable = bytes.has_value() && !token.empty();
      entries.push_back({id, decoded.emplace_back(bytes ? std::move(*bytes) : token), findable});
    }
    for (const AddedToken& token : file_.added_tokens) {
      entries.push_back({token.id, token.content, false});
    }
    return Vocabulary(entries, size_);
  }

  Result<std::optional<TokenId>> config_token(const char* name,
                                              const std::optional<std::string>& content) const {
    if (!content) return std::optional<TokenId>();
    if (const auto added = tables_.added_ids.find(*content); added != tables_.added_ids.end()) {
      return std::optional(added->second);
    }
    if (const TokenId id = written_.find(*content); id != kNoToken) return std::optional(id);
    return Error{ErrorCode::kDataCorrupt,
                 std::string("tokenizer_config.json: ") + name +
                     ": expected a token of tokenizer.json, got " + quote(*content),
                 name};
  }

  const TokenizerFile& file_;
  const TokenizerConfig& config_;
  Vocabulary written_;            // model.vocab as it is written, in the byte alphabet
  std::vector<bool> is_written_;  // by id: whether it is in model.vocab
  TokenId size_ = 0;              // more than every id
  std::array<TokenId, 256> byte_tokens_{};
  std::vector<MergeRule> rules_;
  TokenizerTables tables_;
};

}  // namespace

Result<TokenizerTables> build_tokenizer_tables(const TokenizerFile& file,
                                               const TokenizerConfig& config) {
  return Builder(file, config).run();
}

}  // namespace fathom::tokenizer
