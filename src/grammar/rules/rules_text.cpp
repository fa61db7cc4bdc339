#include "grammar/rules/rules_text.h"

#include <fmt/format.h>

#include <utility>

namespace fathom::grammar {
namespace {

using Kind = Grammar::Kind;

constexpr uint64_t kVersion = 1;
constexpr char32_t kLastCodePoint = 0x10FFFF;

class Writer {
 public:
  void number(uint64_t value) {
    while (value >= 0x80) {
      bytes_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    bytes_.push_back(static_cast<char>(value));
  }
  void text(std::string_view text) {
    number(text.size());
    bytes_ += text;
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

void write_list(Writer& out, const MemberList& list) {
  out.number(list.members.size());
  for (const MemberList::Member& member : list.members) {
    out.number(member.expr);
    out.number(member.required ? 1 : 0);
  }
  out.number(list.has_repeated ? 1 : 0);
  out.number(list.repeated);
  out.number(list.separator);
  out.number(list.least);
  out.number(list.most);
}

void write_node(Writer& out, const Grammar& grammar, Expr expr) {
  const Grammar::Node& node = grammar.node(expr);
  out.number(static_cast<uint64_t>(node.kind));
  switch (node.kind) {
    case Kind::kNothing:
    case Kind::kEmpty:
      return;
    case Kind::kLiteral:
      return out.text(grammar.text(expr));
    case Kind::kChars:
      out.number(grammar.set(expr).ranges().size());
      for (const CharRange& range : grammar.set(expr).ranges()) {
        out.number(range.first);
        out.number(range.last);
      }
      return;
    case Kind::kRepeat:
      out.number(grammar.children(expr)[0]);
      out.number(node.least);
      return out.number(node.most);
    case Kind::kCall:
    case Kind::kMultiple:
      return out.number(node.least);
    case Kind::kMembers:
      return write_list(out, grammar.list(expr));
    case Kind::kSequence:
    case Kind::kChoice:
    case Kind::kBoth:
    case Kind::kDifference:
      out.number(grammar.children(expr).size());
      for (const Expr child : grammar.children(expr)) out.number(child);
      return;
  }
}

// Reads past the end, and numbers out of range, are zeros with failed() set.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  uint64_t number(uint64_t most = kUnbounded) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) return fail();
      const auto byte = static_cast<uint8_t>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value <= most ? value : fail();
    }
    return fail();
  }
  uint32_t small(uint64_t most = kUnbounded) { return static_cast<uint32_t>(number(most)); }
  // Of things that take a byte each at least.
  size_t count() { return number(bytes_.size()); }
  bool flag() { return number(1) == 1; }
  std::string_view text() {
    const size_t size = count();
    if (size > bytes_.size()) {
      fail();
      return {};
    }
    const std::string_view text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return text;
  }
  uint64_t fail() {
    failed_ = true;
    bytes_ = {};
    return 0;
  }
  bool failed() const { return failed_; }
  bool at_end() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

// Makes the expressions anew, in their order: a child stands before its parents.
class RulesReader {
 public:
  RulesReader(std::string_view bytes, std::shared_ptr<WorkBudget> budget)
      : in_(bytes), grammar_(std::move(budget)) {}

  Result<Grammar> read() {
    if (const uint64_t version = in_.number(); version != kVersion && !in_.failed()) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("grammar: expected rules of version {}, got {}", kVersion, version)};
    }
    rules_ = in_.count();
    for (size_t i = 0; i < rules_ && more(); ++i) grammar_.add_rule(std::string(in_.text()));
    const size_t expressions = in_.count();
    for (size_t i = 0; i < expressions && more(); ++i) read_expression();
    for (size_t i = 0; i < rules_ && more(); ++i) grammar_.define(static_cast<RuleId>(i), child());
    const size_t notes = in_.count();
    for (size_t i = 0; i < notes && more(); ++i) grammar_.add_note(std::string(in_.text()));
    const RuleId root = rule();
    if (grammar_.budget().exhausted()) return grammar_.budget().error();
    if (in_.failed() || !in_.at_end() || grammar_.too_large()) {
      return Error{ErrorCode::kDataCorrupt, "grammar: expected rules as write_rules() writes them"};
    }
    grammar_.set_root(root);
    return std::move(grammar_);
  }

 private:
  bool more() { return !in_.failed() && grammar_.budget().spend(1) && !grammar_.too_large(); }

  void read_expression() {
    bool calls = false;
    const Expr made =
        make(static_cast<Kind>(in_.small(static_cast<uint64_t>(Kind::kMembers))), calls);
    made_.push_back(made);
    calls_.push_back(calls);
  }

  Expr make(Kind kind, bool& calls) {
    calls_below_ = false;
    const Expr made = make_kind(kind);
    calls = calls_below_ || kind == Kind::kCall;
    return made;
  }

  Expr make_kind(Kind kind) {
    switch (kind) {
      case Kind::kNothing:
        return grammar_.nothing();
      case Kind::kEmpty:
        return grammar_.empty();
      case Kind::kLiteral:
        return grammar_.literal(in_.text());
      case Kind::kChars:
        return grammar_.chars(char_set());
      case Kind::kSequence:
        return grammar_.sequence(children());
      case Kind::kChoice:
        return grammar_.choice(children());
      case Kind::kRepeat: {
        const Expr part = child();
        const uint32_t least = in_.small();
        return grammar_.repeat(part, least, in_.small());
      }
      case Kind::kCall:
        return grammar_.call(rule());
      case Kind::kBoth:
      case Kind::kDifference:
        return two(kind);
      case Kind::kMultiple: {
        const uint32_t divisor = in_.small();
        return divisor == 0 ? static_cast<Expr>(in_.fail()) : grammar_.multiple(divisor);
      }
      case Kind::kMembers:
        return grammar_.members(list());
    }
    return static_cast<Expr>(in_.fail());
  }

  // Neither of which may call a rule.
  Expr two(Kind kind) {
    const std::vector<Expr> parts = children();
    if (parts.size() != 2 || calls_below_) return static_cast<Expr>(in_.fail());
    return kind == Kind::kBoth ? grammar_.both(parts[0], parts[1])
                               : grammar_.difference(parts[0], parts[1]);
  }

  CharSet char_set() {
    std::vector<CharRange> ranges(in_.count());
    grammar_.budget().spend(ranges.size(), ranges.size() * sizeof(CharRange));
    for (CharRange& range : ranges) {
      range.first = static_cast<char32_t>(in_.number(kLastCodePoint));
      range.last = static_cast<char32_t>(in_.number(kLastCodePoint));
      if (range.last < range.first) in_.fail();
    }
    return in_.failed() ? CharSet() : CharSet(std::move(ranges));
  }

  MemberList list() {
    MemberList list;
    list.members.resize(in_.count());
    grammar_.budget().spend(list.members.size(), list.members.size() * sizeof(MemberList::Member));
    for (MemberList::Member& member : list.members) {
      member.expr = child();
      member.required = in_.flag();
    }
    list.has_repeated = in_.flag();
    list.repeated = child();
    list.separator = child();
    list.least = in_.small();
    list.most = in_.small();
    return list;
  }

  std::vector<Expr> children() {
    std::vector<Expr> children(in_.count());
    for (Expr& one : children) one = child();
    return children;
  }

  Expr child() {
    const uint64_t old = in_.number();
    if (old >= made_.size()) return static_cast<Expr>(in_.fail());
    calls_below_ = calls_below_ || calls_[old];
    return made_[old];
  }

  RuleId rule() {
    const uint64_t rule = in_.number();
    return static_cast<RuleId>(rule < rules_ ? rule : in_.fail());
  }

  Reader in_;
  Grammar grammar_;
  size_t rules_ = 0;
  std::vector<Expr> made_;   // by the writer's numbers
  std::vector<bool> calls_;  // likewise: whether it, or what it is made of, calls a rule
  bool calls_below_ = false;
};

}  // namespace

std::string write_rules(const Grammar& grammar) {
  Writer out;
  out.number(kVersion);
  out.number(grammar.rules().size());
  for (const Grammar::Rule& rule : grammar.rules()) out.text(rule.name);
  out.number(grammar.expression_count());
  for (Expr expr = 0; expr < grammar.expression_count(); ++expr) write_node(out, grammar, expr);
  for (const Grammar::Rule& rule : grammar.rules()) out.number(rule.body);
  out.number(grammar.notes().size());
  for (const std::string& note : grammar.notes()) out.text(note);
  out.number(grammar.root());
  return out.take();
}

Result<Grammar> read_rules(std::string_view bytes, std::shared_ptr<WorkBudget> budget) {
  return RulesReader(bytes, std::move(budget)).read();
}

}  // namespace fathom::grammar
