#include "grammar/rules/grammar.h"

#include <algorithm>

#include "grammar/rules/limits.h"

namespace fathom::grammar {

const size_t Grammar::kMaxSize = kMaxExpressions;
constexpr size_t kMaxSequence = 64;

Grammar::Grammar(std::shared_ptr<WorkBudget> budget)
    : budget_(std::move(budget)), nodes_{{Kind::kNothing}, {Kind::kEmpty}} {}

Expr Grammar::add(Node node, std::span<const Expr> children) {
  budget_->spend(1 + children.size() / 8, sizeof(Node) + children.size() * sizeof(Expr));
  if (!children.empty()) {
    node.data = static_cast<uint32_t>(children_.size());
    node.count = static_cast<uint32_t>(children.size());
    children_.insert(children_.end(), children.begin(), children.end());
  }
  nodes_.push_back(node);
  return static_cast<Expr>(nodes_.size() - 1);
}

std::span<const Expr> Grammar::children(Expr expr) const {
  if (nodes_[expr].count == 0) return {};
  return std::span(children_).subspan(nodes_[expr].data, nodes_[expr].count);
}

Expr Grammar::literal(std::string_view bytes) {
  if (bytes.empty()) return empty();
  budget_->spend(bytes.size() / 64, sizeof(std::string) + bytes.size());
  texts_.emplace_back(bytes);
  return add({.kind = Kind::kLiteral, .data = static_cast<uint32_t>(texts_.size() - 1)});
}

Expr Grammar::chars(const CharSet& set) {
  if (set.empty()) return nothing();
  budget_->spend(set.ranges().size() / 16,
                 sizeof(CharSet) + set.ranges().size() * sizeof(CharRange));
  sets_.push_back(set);
  return add({.kind = Kind::kChars, .data = static_cast<uint32_t>(sets_.size() - 1)});
}

Expr Grammar::sequence(std::span<const Expr> parts) {
  std::vector<Expr> kept;
  for (const Expr part : parts) {
    if (part == nothing()) return nothing();
    if (part != empty()) kept.push_back(part);
  }
  // Long sequences are grouped: nullable_expressions() visits a sequence once for each of its
  // children.
  while (kept.size() > kMaxSequence) {
    std::vector<Expr> groups;
    for (size_t i = 0; i < kept.size(); i += kMaxSequence) {
      const size_t count = std::min(kMaxSequence, kept.size() - i);
      groups.push_back(sequence(std::span(kept).subspan(i, count)));
    }
    kept = std::move(groups);
  }
  if (kept.empty()) return empty();
  return kept.size() == 1 ? kept[0] : add({.kind = Kind::kSequence}, kept);
}

Expr Grammar::choice(std::span<const Expr> options) {
  std::vector<Expr> kept;
  for (const Expr option : options) {
    if (option != nothing()) kept.push_back(option);
  }
  std::sort(kept.begin(), kept.end());
  kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
  if (kept.empty()) return nothing();
  return kept.size() == 1 ? kept[0] : add({.kind = Kind::kChoice}, kept);
}

Expr Grammar::repeat(Expr part, uint32_t least, uint32_t most) {
  if (least > most) return nothing();
  if (most == 0 || part == empty()) return empty();
  if (part == nothing()) return least == 0 ? empty() : nothing();
  if (least == 1 && most == 1) return part;
  return add({.kind = Kind::kRepeat, .least = least, .most = most}, std::span(&part, 1));
}

Expr Grammar::call(RuleId rule) {
  return add({.kind = Kind::kCall, .least = rule});
}

Expr Grammar::both(Expr a, Expr b) {
  if (a == nothing() || b == nothing()) return nothing();
  return a == b ? a : add({.kind = Kind::kBoth}, std::vector<Expr>{a, b});
}

Expr Grammar::difference(Expr a, Expr b) {
  if (a == b) return nothing();
  if (a == nothing() || b == nothing()) return a;
  return add({.kind = Kind::kDifference}, std::vector<Expr>{a, b});
}

Expr Grammar::multiple(uint32_t divisor) {
  return add({.kind = Kind::kMultiple, .least = divisor});
}

Expr Grammar::members(MemberList list) {
  lists_.push_back(std::move(list));
  return add({.kind = Kind::kMembers, .data = static_cast<uint32_t>(lists_.size() - 1)});
}

RuleId Grammar::add_rule(std::string name) {
  rules_.push_back({std::move(name), nothing()});
  return static_cast<RuleId>(rules_.size() - 1);
}

namespace {

// Least fixpoint in time linear in the grammar: an expression that turns out to be nullable tells
// the expressions and rules it is part of.
class NullableFinder {
 public:
  explicit NullableFinder(const Grammar& grammar)
      : grammar_(grammar),
        nullable_(grammar.expression_count()),
        parents_(grammar.expression_count()),
        bodies_(grammar.expression_count()),
        rules_(grammar.rules().size()) {}

  std::vector<bool> run() {
    for (RuleId rule = 0; rule < rules_.size(); ++rule) {
      bodies_[grammar_.rules()[rule].body].push_back(rule);
    }
    // A child's number is less than its parent's, so this sees children first.
    for (Expr expr = 0; expr < nullable_.size(); ++expr) {
      for (const Expr child : grammar_.children(expr)) parents_[child].push_back(expr);
      if (grammar_.node(expr).kind == Grammar::Kind::kCall) {
        calls_.resize(std::max<size_t>(calls_.size(), grammar_.node(expr).least + 1));
        calls_[grammar_.node(expr).least].push_back(expr);
      }
    }
    calls_.resize(rules_.size());
    for (Expr expr = 0; expr < nullable_.size(); ++expr) nullable_[expr] = matches_empty(expr);
    for (const Grammar::Rule& rule : grammar_.rules()) {
      if (nullable_[rule.body]) spread(rule.body);
    }
    return std::move(nullable_);
  }

 private:
  void spread(Expr first) {
    std::vector<Expr> found = {first};
    const auto note = [&](Expr expr) {
      if (nullable_[expr] || !matches_empty(expr)) return;
      nullable_[expr] = true;
      found.push_back(expr);
    };
    while (!found.empty()) {
      const Expr expr = found.back();
      found.pop_back();
      for (const Expr parent : parents_[expr]) note(parent);
      for (const RuleId rule : bodies_[expr]) {
        if (rules_[rule]) continue;
        rules_[rule] = true;
        for (const Expr call : calls_[rule]) note(call);
      }
    }
  }

  bool matches_empty(Expr expr) const {
    const Grammar::Node& node = grammar_.node(expr);
    const auto children = grammar_.children(expr);
    const auto nullable = [this](Expr child) { return nullable_[child]; };
    switch (node.kind) {
      case Grammar::Kind::kEmpty:
        return true;
      case Grammar::Kind::kSequence:
      case Grammar::Kind::kBoth:
        return std::all_of(children.begin(), children.end(), nullable);
      case Grammar::Kind::kChoice:
        return std::any_of(children.begin(), children.end(), nullable);
      case Grammar::Kind::kRepeat:
        return node.least == 0 || nullable_[children[0]];
      case Grammar::Kind::kCall:
        return rules_[node.least];
      // Parts of a difference call no rules, so they are settled when it is asked for.
      case Grammar::Kind::kDifference:
        return nullable_[children[0]] && !nullable_[children[1]];
      case Grammar::Kind::kMembers:
        return members_match_empty(grammar_.list(expr));
      case Grammar::Kind::kNothing:
      case Grammar::Kind::kLiteral:
      case Grammar::Kind::kChars:
      case Grammar::Kind::kMultiple:
        break;
    }
    return false;
  }

  static bool members_match_empty(const MemberList& list) {
    return list.least == 0 &&
           std::none_of(list.members.begin(), list.members.end(),
                        [](const MemberList::Member& member) { return member.required; });
  }

  const Grammar& grammar_;
  std::vector<bool> nullable_;               // by expression
  std::vector<std::vector<Expr>> parents_;   // by expression
  std::vector<std::vector<RuleId>> bodies_;  // by expression: the rules it is the body of
  std::vector<std::vector<Expr>> calls_;     // by rule
  std::vector<bool> rules_;
};

}  // namespace

std::vector<bool> nullable_expressions(const Grammar& grammar) {
  return NullableFinder(grammar).run();
}

}  // namespace fathom::grammar
