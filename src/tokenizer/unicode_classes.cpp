#include "tokenizer/unicode_classes.h"

#include <algorithm>
#include <array>
#include <vector>

namespace fathom::tokenizer {
namespace {

struct ClassRange {
  char32_t first;
  char32_t last;
  CharClass char_class;
};

constexpr CharClass L = CharClass::kLetter;
constexpr CharClass M = CharClass::kMark;
constexpr CharClass N = CharClass::kNumber;
constexpr CharClass P = CharClass::kPunctuation;
constexpr CharClass S = CharClass::kSymbol;
constexpr CharClass W = CharClass::kSpace;

// clang-format off
constexpr ClassRange kRanges[] = {
#include "tokenizer/unicode_classes_data.inc"
};
// clang-format on

constexpr char32_t kPageSize = 256;
constexpr char32_t kPages = 0x110000 / kPageSize;

// A page of 256 characters has one class throughout or a list of its own.
class ClassTable {
 public:
  ClassTable() {
    std::vector<CharClass> all(kPages * kPageSize, CharClass::kOther);
    for (const ClassRange& range : kRanges) {
      std::fill(all.begin() + range.first, all.begin() + range.last + 1, range.char_class);
    }
    for (char32_t page = 0; page < kPages; ++page) {
      page_start_[page] = add_page(all.data() + page * kPageSize);
    }
  }

  CharClass at(char32_t code) const {
    return classes_[page_start_[code / kPageSize] + code % kPageSize];
  }

 private:
  // Where in classes_ the page is: an equal one that is there already, or a new one.
  uint32_t add_page(const CharClass* page) {
    for (uint32_t start = 0; start < classes_.size(); start += kPageSize) {
      if (std::equal(page, page + kPageSize, classes_.begin() + start)) return start;
    }
    classes_.insert(classes_.end(), page, page + kPageSize);
    return static_cast<uint32_t>(classes_.size() - kPageSize);
  }

  std::array<uint32_t, kPages> page_start_{};
  std::vector<CharClass> classes_;
};

}  // namespace

CharClass char_class(char32_t code) {
  static const ClassTable table;
  return table.at(code);
}

}  // namespace fathom::tokenizer
