#include "comm/roster.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

namespace fathom::comm {
namespace {

// A member on the wire: lines of "field=value", zeros behind them. Text, so that builds of
// different versions can read each other's.
constexpr size_t kRecordBytes = 1536;
constexpr size_t kMaxValue = 200;

using Record = std::array<char, kRecordBytes>;

Result<Record> encode(const Member& member) {
  const std::pair<const char*, std::string> fields[] = {
      {"host", member.host},
      {"pid", std::to_string(member.pid)},
      {"chip", member.identity.chip},
      {"version", member.identity.version},
      {"model", member.identity.model_hash},
      {"config", member.identity.config_hash},
  };
  std::string text;
  for (const auto& [name, value] : fields) {
    if (value.size() > kMaxValue || value.find_first_of(std::string("\n\0", 2)) != value.npos) {
      return invalid_argument(
          fmt::format("roster: {}: expected one line of at most {} bytes, got {}", name, kMaxValue,
                      value.size()));
    }
    text += fmt::format("{}={}\n", name, value);
  }
  Record record = {};
  std::ranges::copy(text, record.begin());
  return record;
}

Member decode(const Record& record) {
  std::map<std::string, std::string, std::less<>> fields;
  const std::string_view text(record.data(), record.size());
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == text.npos) break;
    const std::string_view line = text.substr(begin, end - begin);
    const size_t equals = line.find('=');
    if (equals != line.npos) fields.emplace(line.substr(0, equals), line.substr(equals + 1));
    begin = end + 1;
  }
  Member member;
  member.host = fields["host"];
  const std::string& pid = fields["pid"];
  std::from_chars(pid.data(), pid.data() + pid.size(), member.pid);
  member.identity = {fields["chip"], fields["version"], fields["model"], fields["config"]};
  return member;
}

const std::string& usual(const std::vector<Member>& members, std::string Identity::*field) {
  const auto votes = [&](const std::string& value) {
    return std::ranges::count_if(
        members, [&](const Member& member) { return member.identity.*field == value; });
  };
  const std::string* best = &(members.front().identity.*field);
  for (const Member& member : members) {
    if (votes(member.identity.*field) > votes(*best)) best = &(member.identity.*field);
  }
  return *best;
}

}  // namespace

std::string Member::place() const {
  return fmt::format("host {}, pid {}", host, pid);
}

Member this_member(const Identity& identity) {
  std::array<char, 256> host = {};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return {std::string(host.data()).substr(0, kMaxValue), getpid(), identity};
}

Result<std::vector<Member>> exchange_roster(Group& group, const Tag& tag, const Member& own) {
  FATHOM_ASSIGN(const Record record, encode(own));
  const auto size = static_cast<size_t>(group.size());
  std::vector<Record> records(size);
  FATHOM_TRY(group.all_gather(tag, record.data(), records.data(),
                              std::vector<size_t>(size, sizeof(Record))));
  std::vector<Member> members;
  std::ranges::transform(records, std::back_inserter(members), decode);
  return members;
}

Status compare_roster(const std::vector<Member>& members) {
  constexpr std::pair<const char*, std::string Identity::*> kFields[] = {
      {"version", &Identity::version},
      {"model", &Identity::model_hash},
      {"config", &Identity::config_hash},
  };
  std::vector<std::string> differences;
  for (const auto& [name, field] : kFields) {
    const std::string& expected = usual(members, field);
    for (size_t rank = 0; rank < members.size(); ++rank) {
      const std::string& got = members[rank].identity.*field;
      if (got == expected) continue;
      differences.push_back(fmt::format("expected {} {} as on other ranks, got {} on rank {} ({})",
                                        name, expected, got, rank, members[rank].place()));
    }
  }
  if (differences.empty()) return {};
  return invalid_argument(fmt::format("roster: {}", fmt::join(differences, "; ")), "roster");
}

}  // namespace fathom::comm
