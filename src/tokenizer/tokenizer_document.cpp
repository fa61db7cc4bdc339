#include "tokenizer/tokenizer_document.h"

#include <optional>

#include "tokenizer/json_fields.h"

namespace fathom::tokenizer {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 32;
constexpr size_t kMaxTreeValues = 1'000'000;
constexpr size_t kMaxMerges = size_t{4} << 20;

// Receives the parser's events; every handler returns whether to go on.
class Handler : public nlohmann::json_sax<json> {
 public:
  explicit Handler(const std::string& file) : file_(file), reader_(file) {}

  bool null() override { return value(nullptr); }
  bool boolean(bool flag) override { return value(flag); }
  bool number_integer(number_integer_t number) override { return value(number); }
  bool number_unsigned(number_unsigned_t number) override { return value(number); }
  bool number_float(number_float_t number, const string_t&) override { return value(number); }
  bool string(string_t& text) override { return value(std::move(text)); }
  bool binary(binary_t&) override { return false; }  // not in JSON's text form

  bool key(string_t& name) override {
    if (place_ == Place::kTree && open_.size() == 1) top_key_ = name;
    key_ = std::move(name);
    return true;
  }

  bool start_object(size_t) override {
    if (place_ != Place::kTree) return value(json::object());
    if (!is_model_field("vocab")) return open(json::object());
    place_ = Place::kVocabulary;
    document_.has_vocabulary = true;
    return true;
  }
  bool end_object() override {
    if (place_ == Place::kTree) open_.pop_back();
    place_ = Place::kTree;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ == Place::kMerges) {
      place_ = Place::kMergePair;
      pair_ = json::array();
      return true;
    }
    if (place_ != Place::kTree) return value(json::array());
    if (!is_model_field("merges")) return open(json::array());
    place_ = Place::kMerges;
    document_.has_merges = true;
    return true;
  }
  bool end_array() override {
    if (place_ == Place::kMergePair) {
      place_ = Place::kMerges;
      return merge(pair_);
    }
    if (place_ == Place::kTree) open_.pop_back();
    place_ = Place::kTree;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    return fail({ErrorCode::kDataCorrupt,
                 file_ + ": expected JSON, got an error at byte " + std::to_string(position)});
  }

  Result<TokenizerDocument> take() {
    if (error_) return *error_;
    return std::move(document_);
  }

 private:
  enum class Place { kTree, kVocabulary, kMerges, kMergePair };

  bool fail(Error error) {
    error_ = std::move(error);
    return false;
  }

  bool is_model_field(const char* name) const {
    return open_.size() == 2 && open_.back()->is_object() && top_key_ == "model" && key_ == name;
  }

  bool value(json value) {
    switch (place_) {
      case Place::kTree:
        return add(std::move(value)) != nullptr;
      case Place::kVocabulary:
        return vocabulary_entry(value);
      case Place::kMerges:
        return merge(value);
      case Place::kMergePair:
        return merge_part(std::move(value));
    }
    return false;
  }

  // Where the value now is in the tree, or null at the limit.
  json* add(json value) {
    if (++tree_values_ > kMaxTreeValues) {
      fail({ErrorCode::kUnsupported,
            file_ + ": expected at most " + std::to_string(kMaxTreeValues) + " values, got more"});
      return nullptr;
    }
    if (open_.empty()) return &(document_.tree = std::move(value));
    json& parent = *open_.back();
    if (!parent.is_array()) return &(parent[key_] = std::move(value));
    parent.push_back(std::move(value));
    return &parent.back();
  }

  bool open(json container) {
    if (open_.size() == kMaxDepth) {
      return fail({ErrorCode::kUnsupported, file_ + ": expected at most " +
                                                std::to_string(kMaxDepth) + " levels, got more"});
    }
    open_.push_back(add(std::move(container)));
    return open_.back() != nullptr;
  }

  bool vocabulary_entry(const json& id) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= kMaxTokenId) {
      return fail(reader_.corrupt("model.vocab[" + FieldReader::describe(key_) + "]",
                                  "a whole number below " + std::to_string(kMaxTokenId), id));
    }
    document_.vocabulary.emplace_back(std::move(key_), id.get<TokenId>());
    return true;
  }

  bool bad_merge(const json& rule) {
    return fail(reader_.corrupt("model.merges[" + std::to_string(document_.merges.size()) + "]",
                                "\"left right\" or [\"left\", \"right\"]", rule));
  }

  bool merge_part(json part) {
    if (!part.is_string() || pair_.size() == 2) return bad_merge(part);
    pair_.push_back(std::move(part));
    return true;
  }

  // "left right" or ["left", "right"]
  bool merge(const json& rule) {
    auto& merges = document_.merges;
    if (merges.size() == kMaxMerges) {
      return fail(reader_.unsupported("model.merges", std::to_string(kMaxMerges) + " rules at most",
                                      "more"));
    }
    if (rule.is_string()) {
      const auto& text = rule.get_ref<const std::string&>();
      const size_t space = text.find(' ');
      if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
        merges.emplace_back(text.substr(0, space), text.substr(space + 1));
        return true;
      }
    } else if (rule.is_array() && rule.size() == 2) {
      merges.emplace_back(rule[0].get<std::string>(), rule[1].get<std::string>());
      return true;
    }
    return bad_merge(rule);
  }

  std::string file_;
  FieldReader reader_;
  TokenizerDocument document_;
  Place place_ = Place::kTree;
  std::vector<json*> open_;  // the containers of the tree that are being filled, outermost first
  std::string top_key_;      // of the outermost object
  std::string key_;          // the last one, wherever it was
  json pair_;                // the parts of a merge written as a list
  size_t tree_values_ = 0;
  std::optional<Error> error_;
};

}  // namespace

Result<TokenizerDocument> read_tokenizer_document(const std::string& file, std::string_view text) {
  Handler handler(file);
  json::sax_parse(text, &handler);
  return handler.take();
}

}  // namespace fathom::tokenizer
