#include "tokenizer/tokenizer.h"

#include <fstream>
#include <utility>

#include "base/utf8.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/tokenizer_builder.h"
#include "tokenizer/tokenizer_file.h"

namespace fathom::tokenizer {
namespace {

constexpr uintmax_t kMaxFileBytes = 128u << 20;

Result<std::string> read_file(const std::filesystem::path& path) {
  const auto failed = [&path](ErrorCode code, const std::string& got) {
    return Error{code,
                 "reading " + path.string() + ": expected a file of at most " +
                     std::to_string(kMaxFileBytes) + " bytes, got " + got,
                 path.string()};
  };
  std::error_code error;
  const uintmax_t size = std::filesystem::file_size(path, error);
  if (error == std::errc::no_such_file_or_directory) {
    return failed(ErrorCode::kNotFound, "no such file");
  }
  if (error) return failed(ErrorCode::kIo, error.message());
  if (size > kMaxFileBytes) return failed(ErrorCode::kUnsupported, std::to_string(size));
  std::string content(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(content.data(), static_cast<std::streamsize>(size))) {
    return failed(ErrorCode::kIo, "a file that cannot be read");
  }
  return content;
}

}  // namespace

class Tokenizer::State {
 public:
  explicit State(TokenizerTables made) : tables(std::move(made)) {}

  // Appends the tokens of `text`, in which no added token is looked for.
  void encode_plain(std::string_view text, std::vector<TokenId>& out) const;
  // Appends the tokens of `plain` followed by `trusted`, up to and including the last added token
  // in it, and leaves the ordinary text after that in `plain`.
  void encode_trusted(std::string_view trusted, std::string& plain,
                      std::vector<TokenId>& out) const;

  TokenizerTables tables;

 private:
  void encode_valid(std::string_view text, std::vector<TokenId>& out) const;
  // As encode_trusted, for the added tokens of one finder; the text between them goes to `between`.
  template <typename Between>
  void find_added(const AddedTokenFinder& finder, std::string_view text, std::string& plain,
                  std::vector<TokenId>& out, const Between& between) const;
};

void Tokenizer::State::encode_valid(std::string_view text, std::vector<TokenId>& out) const {
  std::vector<size_t> ends;
  tables.pre_tokenizer.split(text, ends);
  Bpe::Scratch scratch;
  size_t begin = 0;
  for (const size_t end : ends) {
    tables.bpe.encode(text.substr(begin, end - begin), scratch, out);
    begin = end;
  }
}

void Tokenizer::State::encode_plain(std::string_view text, std::vector<TokenId>& out) const {
  if (valid_utf8_prefix(text) == text.size()) {
    encode_valid(text, out);
  } else {
    encode_valid(replace_invalid_utf8(text), out);
  }
}

template <typename Between>
void Tokenizer::State::find_added(const AddedTokenFinder& finder, std::string_view text,
                                  std::string& plain, std::vector<TokenId>& out,
                                  const Between& between) const {
  size_t from = 0;
  while (const auto match = finder.find(text, from)) {
    between(text.substr(from, match->begin - from));
    encode_plain(plain, out);
    plain.clear();
    out.push_back(match->id);
    from = match->end;
  }
  between(text.substr(from));
}

void Tokenizer::State::encode_trusted(std::string_view trusted, std::string& plain,
                                      std::vector<TokenId>& out) const {
  find_added(tables.added_first, trusted, plain, out, [&](std::string_view rest) {
    find_added(tables.added_second, rest, plain, out,
               [&](std::string_view ordinary) { plain += ordinary; });
  });
}

Result<Tokenizer> Tokenizer::load(const std::filesystem::path& tokenizer_json,
                                  const std::filesystem::path& tokenizer_config) {
  FATHOM_ASSIGN(const std::string json, read_file(tokenizer_json));
  std::string config;
  if (!tokenizer_config.empty()) {
    FATHOM_ASSIGN(config, read_file(tokenizer_config));
  }
  return parse(json, config);
}

Result<Tokenizer> Tokenizer::parse(std::string_view tokenizer_json,
                                   std::string_view tokenizer_config) {
  FATHOM_ASSIGN(const TokenizerFile file, parse_tokenizer_file(tokenizer_json));
  TokenizerConfig config;
  if (!tokenizer_config.empty()) {
    FATHOM_ASSIGN(config, parse_tokenizer_config(tokenizer_config));
  }
  FATHOM_ASSIGN(TokenizerTables tables, build_tokenizer_tables(file, config));
  return Tokenizer(std::make_shared<const State>(std::move(tables)));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  std::vector<TokenId> out;
  state_->encode_plain(text, out);
  return out;
}

std::vector<TokenId> Tokenizer::encode_pieces(std::span<const Piece> pieces) const {
  std::vector<TokenId> out;
  std::string plain;
  for (size_t i = 0; i < pieces.size();) {
    if (!pieces[i].trusted) {
      plain += pieces[i++].text;
      continue;
    }
    std::string trusted;
    while (i < pieces.size() && pieces[i].trusted) trusted += pieces[i++].text;
    state_->encode_trusted(trusted, plain, out);
  }
  state_->encode_plain(plain, out);
  return out;
}

std::vector<TokenId> Tokenizer::encode_with_added_tokens(std::string_view text) const {
  const Piece all{text, true};
  return encode_pieces({&all, 1});
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  return state_->tables.bpe.vocabulary().bytes(id);
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!skip_special || !is_special(id)) bytes += token_bytes(id);
  }
  return valid_utf8_prefix(bytes) == bytes.size() ? bytes : replace_invalid_utf8(bytes);
}

std::optional<TokenId> Tokenizer::token_to_id(std::string_view text) const {
  const TokenizerTables& tables = state_->tables;
  if (const auto added = tables.added_ids.find(std::string(text));
      added != tables.added_ids.end()) {
    return added->second;
  }
  const TokenId id = tables.bpe.vocabulary().find(text);
  return id == kNoToken ? std::nullopt : std::optional(id);
}

bool Tokenizer::is_added(TokenId id) const {
  return id >= 0 && id < vocab_size() && state_->tables.is_added[id];
}
bool Tokenizer::is_special(TokenId id) const {
  return id >= 0 && id < vocab_size() && state_->tables.is_special[id];
}
TokenId Tokenizer::vocab_size() const {
  return state_->tables.bpe.vocabulary().size();
}
std::optional<TokenId> Tokenizer::bos() const {
  return state_->tables.bos;
}
std::optional<TokenId> Tokenizer::eos() const {
  return state_->tables.eos;
}

}  // namespace fathom::tokenizer
