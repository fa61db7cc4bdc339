// Text whose every byte is marked trusted (written by the template) or not (from the request).
// All string operations of the interpreter are made of append() and parts, which carry the marks.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/heap.h"

namespace fathom::jinja {

class MarkedText {
 public:
  // The bytes from the end of the run before it up to `end` share one mark.
  struct Run {
    std::size_t end;
    bool trusted;

    bool operator==(const Run&) const = default;
  };

  MarkedText() = default;
  MarkedText(std::string_view bytes, bool trusted) { append(bytes, trusted); }

  const std::string& bytes() const { return bytes_; }
  std::string_view view() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  // Neighbours differ in their mark and none is empty.
  const std::vector<Run>& runs() const { return runs_; }

  void append(std::string_view bytes, bool trusted);
  // Appends bytes [begin, begin + count) of `other` with their marks.
  void append(const MarkedText& other, std::size_t begin, std::size_t count);

  // Index of the run that holds byte `position` (position < size()).
  std::size_t run_at(std::size_t position) const;
  bool trusted_at(std::size_t position) const { return runs_[run_at(position)].trusted; }

 private:
  std::string bytes_;
  std::vector<Run> runs_;
};

// Builds a MarkedText within a heap's limits.
class TextBuilder {
 public:
  explicit TextBuilder(Heap& heap) : heap_(heap), charge_(&heap) {}

  void append(std::string_view bytes, bool trusted);
  void append(const MarkedText& other) { append(other, 0, other.size()); }
  void append(const MarkedText& other, std::size_t begin, std::size_t count);

  Heap& heap() { return heap_; }
  std::size_t size() const { return text_.size(); }
  // Both leave the builder unusable.
  MarkedText take_text() { return std::move(text_); }
  Charge take_charge() { return std::move(charge_); }

 private:
  void charge_growth(std::size_t more_bytes, std::size_t more_runs);

  Heap& heap_;
  MarkedText text_;
  Charge charge_;
};

}  // namespace fathom::jinja
