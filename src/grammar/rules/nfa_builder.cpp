#include "grammar/rules/nfa_builder.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "grammar/rules/limits.h"

namespace fathom::grammar {
namespace {

// Repetitions that cost more states than this are cut into calls.
constexpr size_t kMaxInlineRepeat = 4096;
Error too_large() {
  return {ErrorCode::kResourceExhausted, "expected a grammar of at most " +
                                             std::to_string(kMaxNfaStates) +
                                             " states, got a larger one"};
}

}  // namespace

Result<Nfa> NfaBuilder::build(Expr expr) {
  nfa_ = Nfa();
  FATHOM_TRY(connect(expr, Nfa::kStart, Nfa::kFinal));
  return std::move(nfa_);
}

Result<Nfa> NfaBuilder::build(const HelperRule& helper) {
  nfa_ = Nfa();
  FATHOM_TRY(connect_repeat(helper.part, helper.least, helper.most, Nfa::kStart, Nfa::kFinal));
  return std::move(nfa_);
}

uint32_t NfaBuilder::add_state() {
  // With about one edge, which lies in memory of its own.
  grammar_.budget().spend(1, sizeof(Nfa::State) + 32);
  nfa_.states.emplace_back();
  return static_cast<uint32_t>(nfa_.states.size() - 1);
}

Status NfaBuilder::connect(Expr expr, uint32_t from, uint32_t to) {
  if (nfa_.states.size() > kMaxNfaStates) return too_large();
  grammar_.budget().spend(1);
  FATHOM_TRY(check_budget());
  const Grammar::Node& node = grammar_.node(expr);
  const auto children = grammar_.children(expr);
  switch (node.kind) {
    case Grammar::Kind::kNothing:
      return {};
    case Grammar::Kind::kEmpty:
      nfa_.states[from].empty.push_back(to);
      return {};
    case Grammar::Kind::kLiteral: {
      const std::string& text = grammar_.text(expr);
      for (size_t i = 0; i < text.size(); ++i) {
        const uint32_t next = i + 1 == text.size() ? to : add_state();
        const auto byte = static_cast<uint8_t>(text[i]);
        nfa_.states[from].bytes.push_back({{byte, byte}, next});
        from = next;
      }
      return {};
    }
    case Grammar::Kind::kChars:
      return connect_chars(grammar_.set(expr), from, to);
    case Grammar::Kind::kSequence:
      for (size_t i = 0; i < children.size(); ++i) {
        const uint32_t next = i + 1 == children.size() ? to : add_state();
        FATHOM_TRY(connect(children[i], from, next));
        from = next;
      }
      return {};
    case Grammar::Kind::kChoice:
      for (const Expr child : children) {
        // A state of its own: a repetition within may not come back to what leads elsewhere.
        const uint32_t begin = add_state();
        nfa_.states[from].empty.push_back(begin);
        FATHOM_TRY(connect(child, begin, to));
      }
      return {};
    case Grammar::Kind::kRepeat: {
      const bool bounded = node.most != kUnbounded;
      const size_t copies = bounded ? node.most : node.least;
      const bool large = copies > 1 && may_call_ &&
                         cost(children[0], kMaxInlineRepeat) * copies > kMaxInlineRepeat;
      return large ? connect_chunks(children[0], node.least, node.most, from, to)
                   : connect_repeat(children[0], node.least, node.most, from, to);
    }
    case Grammar::Kind::kCall:
      FATHOM_CHECK(may_call_, "a product's parts call no rules");
      connect_call(node.least, nullable_[expr], from, to);
      return {};
    case Grammar::Kind::kBoth:
    case Grammar::Kind::kDifference:
      return connect_product(node, children[0], children[1], from, to);
    case Grammar::Kind::kMultiple:
      connect_multiple(node.least, from, to);
      return {};
    case Grammar::Kind::kMembers:
      return connect_members(grammar_.list(expr), from, to);
  }
  return {};
}

Status NfaBuilder::connect_chars(const CharSet& set, uint32_t from, uint32_t to) {
  grammar_.budget().spend(set.ranges().size());
  for (const Utf8Sequence& sequence : utf8_sequences(set)) {
    uint32_t at = from;
    for (int i = 0; i < sequence.length; ++i) {
      const uint32_t next = i + 1 == sequence.length ? to : add_state();
      nfa_.states[at].bytes.push_back({sequence.bytes[i], next});
      at = next;
    }
  }
  return {};
}

Status NfaBuilder::connect_repeat(Expr part, uint32_t least, uint32_t most, uint32_t from,
                                  uint32_t to) {
  for (uint32_t i = 0; i < least; ++i) {
    const uint32_t next = add_state();
    FATHOM_TRY(connect(part, from, next));
    from = next;
  }
  if (most == kUnbounded) {
    const uint32_t loop = add_state();
    nfa_.states[from].empty.push_back(loop);
    nfa_.states[loop].empty.push_back(to);
    return connect(part, loop, loop);
  }
  for (uint32_t i = least; i < most; ++i) {
    nfa_.states[from].empty.push_back(to);
    const uint32_t next = add_state();
    FATHOM_TRY(connect(part, from, next));
    from = next;
  }
  nfa_.states[from].empty.push_back(to);
  return {};
}

// part{least,most} as calls of part{size,size} and, last, of a shorter repetition.
Status NfaBuilder::connect_chunks(Expr part, uint32_t least, uint32_t most, uint32_t from,
                                  uint32_t to) {
  const uint32_t longest = most == kUnbounded ? least : most;
  const auto size =
      std::max<uint32_t>(2, static_cast<uint32_t>(std::sqrt(static_cast<double>(longest))));
  const auto chunks = [&](uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t next = add_state();
      connect_helper({part, size, size}, from, next);
      from = next;
    }
  };
  chunks(least / size);
  if (most == kUnbounded) {
    connect_helper({part, least % size, kUnbounded}, from, to);
    return {};
  }
  uint32_t low = least % size;
  uint32_t high = most - least / size * size;
  // Before each further chunk the rest may be one shorter repetition.
  while (high >= size) {
    connect_helper({part, low, size - 1}, from, to);
    chunks(1);
    low = 0;
    high -= size;
    if (nfa_.states.size() > kMaxNfaStates) return too_large();
    FATHOM_TRY(check_budget());
  }
  connect_helper({part, low, high}, from, to);
  return {};
}

void NfaBuilder::connect_multiple(uint32_t divisor, uint32_t from, uint32_t to) {
  std::vector<uint32_t> remainders(divisor);
  for (uint32_t& state : remainders) state = add_state();
  const auto add_digits = [&](uint32_t state, uint32_t remainder) {
    for (uint8_t digit = 0; digit < 10; ++digit) {
      const uint64_t value = uint64_t{remainder} * 10 + digit;
      const auto byte = static_cast<uint8_t>('0' + digit);
      nfa_.states[state].bytes.push_back({{byte, byte}, remainders[value % divisor]});
    }
  };
  add_digits(from, 0);
  for (uint32_t i = 0; i < divisor; ++i) add_digits(remainders[i], i);
  nfa_.states[remainders[0]].empty.push_back(to);
}

// A grid of states: down by member, across by how many there were (as far as that matters).
Status NfaBuilder::connect_members(const MemberList& list, uint32_t from, uint32_t to) {
  const bool limited = list.most != kUnbounded;
  const uint32_t columns = (limited ? list.most : std::max(1U, list.least)) + 1;
  if (uint64_t{columns} * (list.members.size() + 2) > kMaxNfaStates) return too_large();
  std::vector<uint32_t> row(columns);
  for (uint32_t& state : row) state = add_state();
  nfa_.states[from].empty.push_back(row[0]);

  const auto take = [&](Expr expr, uint32_t column, uint32_t target) -> Status {
    uint32_t begin = row[column];
    if (column > 0) {
      const uint32_t separated = add_state();
      FATHOM_TRY(connect(list.separator, begin, separated));
      begin = separated;
    }
    return connect(expr, begin, target);
  };
  for (const MemberList::Member& member : list.members) {
    std::vector<uint32_t> next(columns);
    for (uint32_t& state : next) state = add_state();
    for (uint32_t column = 0; column < columns; ++column) {
      if (!member.required) nfa_.states[row[column]].empty.push_back(next[column]);
      if (limited && column + 1 == columns) continue;
      FATHOM_TRY(take(member.expr, column, next[std::min(column + 1, columns - 1)]));
    }
    row = next;
  }
  for (uint32_t column = 0; column < columns; ++column) {
    if (column >= list.least) nfa_.states[row[column]].empty.push_back(to);
    if (!list.has_repeated || (limited && column + 1 == columns)) continue;
    FATHOM_TRY(take(list.repeated, column, row[std::min(column + 1, columns - 1)]));
  }
  return {};
}

Status NfaBuilder::connect_product(const Grammar::Node& node, Expr a, Expr b, uint32_t from,
                                   uint32_t to) {
  FATHOM_ASSIGN(const Dfa dfa_a, content_dfa(grammar_, a));
  FATHOM_ASSIGN(const Dfa dfa_b, content_dfa(grammar_, b));
  const bool difference = node.kind == Grammar::Kind::kDifference;
  FATHOM_ASSIGN(const Dfa result, product(dfa_a, dfa_b, difference, grammar_.budget()));
  connect_dfa(result, from, to);
  return {};
}

void NfaBuilder::connect_dfa(const Dfa& dfa, uint32_t from, uint32_t to) {
  const auto offset = static_cast<uint32_t>(nfa_.states.size());
  for (size_t i = 0; i < dfa.states.size(); ++i) add_state();
  if (!dfa.states.empty()) nfa_.states[from].empty.push_back(offset);
  for (uint32_t i = 0; i < dfa.states.size(); ++i) {
    Nfa::State& state = nfa_.states[offset + i];
    for (const Nfa::ByteEdge& edge : dfa.states[i].bytes) {
      state.bytes.push_back({edge.bytes, offset + edge.target});
    }
    if (dfa.states[i].accepting) state.empty.push_back(to);
  }
}

Result<Dfa> content_dfa(const Grammar& grammar, Expr expr) {
  const std::vector<bool> nullable = {};  // asked of calls only
  std::vector<HelperRule> helpers;
  NfaBuilder builder(grammar, nullable, helpers);
  builder.may_call_ = false;
  FATHOM_ASSIGN(const Nfa nfa, builder.build(expr));
  return determinize(nfa, grammar.budget());
}

Status NfaBuilder::check_budget() const {
  const WorkBudget& budget = grammar_.budget();
  return budget.exhausted() ? Status(budget.error()) : Status();
}

// What may be empty may be skipped: so a call never has to come back without having taken a byte.
void NfaBuilder::connect_call(RuleId rule, bool nullable, uint32_t from, uint32_t to) {
  nfa_.states[from].calls.push_back({rule, to});
  if (nullable) nfa_.states[from].empty.push_back(to);
}

void NfaBuilder::connect_helper(const HelperRule& helper, uint32_t from, uint32_t to) {
  grammar_.budget().spend(helpers_.size() / 64);
  auto found = std::find(helpers_.begin(), helpers_.end(), helper);
  if (found == helpers_.end()) found = helpers_.insert(helpers_.end(), helper);
  const auto rule = static_cast<RuleId>(grammar_.rules().size() + (found - helpers_.begin()));
  connect_call(rule, helper.least == 0 || nullable_[helper.part], from, to);
}

size_t NfaBuilder::cost(Expr expr, size_t enough) const {
  const Grammar::Node& node = grammar_.node(expr);
  grammar_.budget().spend(1);
  size_t sum = 1;
  switch (node.kind) {
    case Grammar::Kind::kLiteral:
      return std::min(enough, grammar_.text(expr).size());
    case Grammar::Kind::kChars:
      return std::min(enough, utf8_sequences(grammar_.set(expr)).size());
    case Grammar::Kind::kBoth:
    case Grammar::Kind::kDifference:
    case Grammar::Kind::kMembers:
      return enough;
    default:
      break;
  }
  for (const Expr child : grammar_.children(expr)) {
    sum += cost(child, enough);
    if (sum >= enough) return enough;
  }
  const uint32_t copies = node.most == kUnbounded ? std::max(1U, node.least) : node.most;
  return node.kind == Grammar::Kind::kRepeat ? std::min<size_t>(enough, sum * copies) : sum;
}

}  // namespace fathom::grammar
