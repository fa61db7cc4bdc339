// The intermediate form that JSON schemas, regular expressions and EBNF are translated to: rules,
// each an expression over characters and other rules. Automaton::build (automaton.h) compiles it.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/work_budget.h"
#include "grammar/rules/char_set.h"

namespace fathom::grammar {

using Expr = uint32_t;  // an expression's number within its Grammar
using RuleId = uint32_t;

inline constexpr uint32_t kUnbounded = std::numeric_limits<uint32_t>::max();

// A list of members in order, with separators between those that are there: what a JSON object is.
struct MemberList {
  struct Member {
    Expr expr;
    bool required;
  };
  std::vector<Member> members;
  bool has_repeated = false;
  Expr repeated = 0;  // any number of these follow the members
  Expr separator = 0;
  uint32_t least = 0;  // members and repeated ones together
  uint32_t most = kUnbounded;
};

class Grammar {
 public:
  enum class Kind : uint8_t {
    kNothing,     // matches no text at all
    kEmpty,       // matches the empty text
    kLiteral,     // `text`
    kChars,       // the UTF-8 of one member of `chars`
    kSequence,    // `children`, one after the other
    kChoice,      // any of `children`
    kRepeat,      // children[0], `least` to `most` times
    kCall,        // the rule `least`
    kBoth,        // what children[0] and children[1] both match; neither may call a rule
    kDifference,  // what children[0] matches and children[1] does not; neither may call a rule
    kMultiple,    // decimal digits, at least one, of a number that `least` divides
    kMembers,     // lists()[least]
  };

  struct Node {
    Kind kind;
    uint32_t least = 0;
    uint32_t most = 0;
    uint32_t data = 0;   // index of the text, set or first child
    uint32_t count = 0;  // of children
  };

  struct Rule {
    std::string name;  // for messages: a path within a schema, or a rule's own name
    Expr body;
  };

  // Making expressions, and compiling them, is charged to `budget`; copies share it.
  explicit Grammar(std::shared_ptr<WorkBudget> budget = std::make_shared<WorkBudget>());

  WorkBudget& budget() const { return *budget_; }

  // Expressions. They simplify: a sequence with nothing() is nothing(), and so on.
  Expr nothing() const { return 0; }
  Expr empty() const { return 1; }
  Expr literal(std::string_view bytes);
  Expr chars(const CharSet& set);
  Expr sequence(std::span<const Expr> parts);
  Expr sequence(std::initializer_list<Expr> parts) { return sequence(std::vector<Expr>(parts)); }
  Expr choice(std::span<const Expr> options);
  Expr choice(std::initializer_list<Expr> options) { return choice(std::vector<Expr>(options)); }
  Expr optional(Expr part) { return repeat(part, 0, 1); }
  Expr repeat(Expr part, uint32_t least, uint32_t most = kUnbounded);
  Expr call(RuleId rule);
  Expr both(Expr a, Expr b);
  Expr difference(Expr a, Expr b);
  Expr multiple(uint32_t divisor);
  Expr members(MemberList list);

  // A rule may be called before it is defined; until then it matches nothing.
  RuleId add_rule(std::string name);
  void define(RuleId rule, Expr body) { rules_[rule].body = body; }

  void set_root(RuleId rule) { root_ = rule; }
  // A new rule becomes the root.
  void set_root(std::string name, Expr body) {
    root_ = add_rule(std::move(name));
    define(root_, body);
  }
  RuleId root() const { return root_; }

  // Requirements of the source that the grammar does not enforce, for the user to read.
  void add_note(std::string note) { notes_.push_back(std::move(note)); }
  const std::vector<std::string>& notes() const { return notes_; }

  const std::vector<Rule>& rules() const { return rules_; }
  size_t expression_count() const { return nodes_.size(); }
  const Node& node(Expr expr) const { return nodes_[expr]; }
  std::span<const Expr> children(Expr expr) const;
  const std::string& text(Expr expr) const { return texts_[nodes_[expr].data]; }
  const CharSet& set(Expr expr) const { return sets_[nodes_[expr].data]; }
  const MemberList& list(Expr expr) const { return lists_[nodes_[expr].data]; }

  // Whether more expressions were made than kMaxExpressions; translators ask while they work.
  bool too_large() const { return nodes_.size() > kMaxSize; }

 private:
  static const size_t kMaxSize;
  Expr add(Node node, std::span<const Expr> children = {});

  std::shared_ptr<WorkBudget> budget_;
  std::vector<Node> nodes_;
  std::vector<Expr> children_;
  std::vector<std::string> texts_;
  std::vector<CharSet> sets_;
  std::vector<MemberList> lists_;
  std::vector<Rule> rules_;
  std::vector<std::string> notes_;
  RuleId root_ = 0;
};

// By expression: whether it matches the empty text.
std::vector<bool> nullable_expressions(const Grammar& grammar);

}  // namespace fathom::grammar
