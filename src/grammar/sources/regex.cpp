#include "grammar/sources/regex.h"

#include <vector>

#include "grammar/sources/json_string.h"
#include "grammar/sources/regex_parser.h"

namespace fathom::grammar {
namespace {

using Kind = RegexNode::Kind;
using Spelling = Expr (*)(Grammar&, const CharSet&);

// What adjoins a part of the pattern on one side.
enum class Edge {
  kInner,   // more of the pattern
  kOpen,    // any text, unless an anchor is met
  kClosed,  // the text's end
};

class Lowering {
 public:
  Lowering(Grammar& grammar, Spelling spelling, bool search)
      : grammar_(grammar), spelling_(spelling) {
    if (search) any_ = grammar.repeat(spelling(grammar, CharSet::all()), 0);
  }

  Result<Expr> lower(const RegexNode& node, Edge left, Edge right) {
    // Of a set as JSON spells it, escapes and all.
    if (!grammar_.budget().spend(8)) return grammar_.budget().error();
    switch (node.kind) {
      case Kind::kSet:
        return padded(spelling_(grammar_, node.set), left, right);
      case Kind::kRepeat: {
        FATHOM_ASSIGN(const Expr part, lower(node.children[0], Edge::kInner, Edge::kInner));
        return padded(grammar_.repeat(part, node.least, node.most), left, right);
      }
      case Kind::kChoice: {
        std::vector<Expr> options;
        for (const RegexNode& child : node.children) {
          FATHOM_ASSIGN(const Expr option, lower(child, left, right));
          options.push_back(option);
        }
        return grammar_.choice(options);
      }
      case Kind::kSequence:
        return sequence(node, left, right);
      case Kind::kStart:
      case Kind::kEnd:
        break;
    }
    return Error{ErrorCode::kUnsupported,
                 "expected ^ only at the beginning of a pattern or of an alternative and $ only at "
                 "its end, got one elsewhere"};
  }

 private:
  Result<Expr> sequence(const RegexNode& node, Edge left, Edge right) {
    size_t begin = 0;
    size_t end = node.children.size();
    for (; begin < end && left != Edge::kInner && node.children[begin].kind == Kind::kStart;
         ++begin) {
      left = Edge::kClosed;
    }
    for (; begin < end && right != Edge::kInner && node.children[end - 1].kind == Kind::kEnd;
         --end) {
      right = Edge::kClosed;
    }
    if (begin == end) return padded(grammar_.empty(), left, right);
    std::vector<Expr> parts;
    for (size_t i = begin; i < end; ++i) {
      FATHOM_ASSIGN(const Expr part, lower(node.children[i], i == begin ? left : Edge::kInner,
                                           i + 1 == end ? right : Edge::kInner));
      parts.push_back(part);
    }
    return grammar_.sequence(parts);
  }

  Expr padded(Expr expr, Edge left, Edge right) {
    return grammar_.sequence({left == Edge::kOpen ? any_ : grammar_.empty(), expr,
                              right == Edge::kOpen ? any_ : grammar_.empty()});
  }

  Grammar& grammar_;
  Spelling spelling_;
  Expr any_ = 0;
};

// A node takes about 128 bytes.
Result<RegexNode> parse(const Grammar& grammar, std::string_view pattern) {
  if (!grammar.budget().spend(pattern.size(), pattern.size() * 128)) {
    return grammar.budget().error();
  }
  return parse_regex(pattern);
}

}  // namespace

Result<Expr> whole_regex(Grammar& grammar, std::string_view pattern) {
  FATHOM_ASSIGN(const RegexNode node, parse(grammar, pattern));
  const Spelling spelling = [](Grammar& to, const CharSet& set) { return to.chars(set); };
  return Lowering(grammar, spelling, false).lower(node, Edge::kClosed, Edge::kClosed);
}

Result<Expr> json_string_regex(Grammar& grammar, std::string_view pattern) {
  FATHOM_ASSIGN(const RegexNode node, parse(grammar, pattern));
  return Lowering(grammar, json_chars, true).lower(node, Edge::kOpen, Edge::kOpen);
}

}  // namespace fathom::grammar
