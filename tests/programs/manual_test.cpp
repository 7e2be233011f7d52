// The manual pages, --help, the shipped sync.toml and README name the same things.

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "account_values.h"
#include "libsync/core/exit_status.h"
#include "programs/report.h"
#include "programs/run_report.h"
#include "temporary_folder.h"
#include "test_process.h"

namespace libsync {
namespace {

using testing::AnyOf;
using testing::ElementsAreArray;
using testing::Ge;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

using Names = std::set<std::string>;

const std::vector<std::string> kPages = {"src/programs/sync-master.8", "src/programs/sync-minion.8",
                                         "src/programs/sync.toml.5"};
const std::vector<std::string> kPrograms = {"sync-master", "sync-minion"};

std::string content_of(const std::string& path) {
  auto text = test::content_of(std::filesystem::path(SOURCE_FOLDER) / path);
  EXPECT_THAT(text, Not(IsEmpty())) << path;
  return text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The first group of every match.
std::vector<std::string> matches(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern, std::regex::ECMAScript | std::regex::multiline);
  std::vector<std::string> all;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    all.push_back((*at)[1]);
  }
  return all;
}

// The lines of a page from one heading to the next.
std::string section_of(const std::string& page, const std::string& heading) {
  const auto begin = page.find("\n.Sh " + heading + "\n");
  EXPECT_NE(begin, std::string::npos) << heading;
  if (begin == std::string::npos) return "";
  return page.substr(begin + 1, page.find("\n.Sh ", begin + 1) - begin);
}

// A default as a value, as words, or empty. Help, page and file are brought to one spelling.
struct Default {
  std::string value;  ///< As the option parser reads it.
  std::string words;  ///< Instead of a value.

  friend bool operator==(const Default&, const Default&) = default;
  friend void PrintTo(const Default& one, std::ostream* out) {
    *out << "value '" << one.value << "', words '" << one.words << "'";
  }
};

using Defaults = std::map<std::string, Default>;

Names names_of(const Defaults& defaults) {
  Names names;
  for (const auto& [name, ignored] : defaults) names.insert(name);
  return names;
}

bool is_no_key(const std::string& name) {
  return name == "config" || name == "help" || name == "version";
}

// The options of --help, each as "  --name TYPE=DEFAULT   text (default: words)". The text may be
// on the next line.
Defaults defaults_of_help(const std::string& help) {
  static const std::regex option("^  (-h,)?--([a-z-]+)(=?\\S*( [^ ]+)*)(.*)$");
  static const std::regex value("=(\\S+)$");
  static const std::regex words("\\(default: ([^)]*)\\)");
  Defaults all;
  Default* current = nullptr;
  for (const auto& line : lines_of(help)) {
    std::smatch match;
    std::string text = line;
    if (std::regex_match(line, match, option)) {
      current = &all[match[2]];
      const std::string column = match[3];
      text = match[5];
      if (std::regex_search(column, match, value)) current->value = match[1];
    } else if (line.empty() || line.ends_with(':')) {
      current = nullptr;
    }
    if (current != nullptr && std::regex_search(text, match, words)) current->words = match[1];
  }
  for (auto& [name, one] : all) {
    if (one.words.empty() && one.value.empty()) one.words = "none";
  }
  return all;
}

// The matching items of a page, each with the words or the .Ql VALUE behind its "Default:".
Defaults defaults_of_page(const std::string& page, const std::string& item) {
  const std::regex begins(item);
  Defaults all;
  Default* current = nullptr;
  bool is_value_next = false;
  for (const auto& line : lines_of(page)) {
    std::smatch match;
    if (line.starts_with(".It ") || line.starts_with(".El")) current = nullptr;
    if (std::regex_search(line, match, begins)) current = &all[match[1]];
    if (current == nullptr) continue;
    if (is_value_next) {
      EXPECT_TRUE(line.starts_with(".Ql ")) << line;
      std::istringstream(line.substr(4)) >> current->value;
    } else if (line.starts_with("Default: ")) {
      current->words = line.substr(9, line.rfind('.') - 9);
    }
    is_value_next = line == "Default:";
  }
  return all;
}

Defaults options_of_page(const std::string& page) {
  return defaults_of_page(page, "^\\.It Fl (?:h , )?-([a-z-]+)");
}

Defaults keys_of_page(const std::string& section) {
  return defaults_of_page(section, "^\\.It Ic ([a-z-]+) Pq ");
}

std::string help_of(const std::string& program, const std::string& verb = "") {
  std::vector<std::string> words{PROGRAM_FOLDER "/" + program};
  if (!verb.empty()) words.push_back(verb);
  words.emplace_back("--help");
  const auto ran = test::run(words);
  EXPECT_EQ(ran.status, 0) << ran.errors;
  return ran.output;
}

// A page names the default of a flag, which --help leaves out.
bool is_flag(const std::string& name) { return name == "owner"; }

TEST(Manual, EachOptionOfHelpIsInThePageOfItsProgramWithItsDefault) {
  for (const auto& program : kPrograms) {
    const auto help = defaults_of_help(help_of(program));
    const auto page = options_of_page(content_of("src/programs/" + program + ".8"));
    ASSERT_THAT(help, SizeIs(Ge(19)));
    EXPECT_EQ(names_of(help), names_of(page));
    for (const auto& [name, expected] : help) {
      if (name == "help" || name == "version" || !page.contains(name)) continue;
      EXPECT_EQ(page.at(name), is_flag(name) ? (Default{"", "off"}) : expected)
          << program << ": " << name;
    }
  }
}

TEST(Manual, EachVerbAndItsOptionsAreInThePageOfItsProgram) {
  for (const auto& program : kPrograms) {
    const auto help = help_of(program);
    const auto verbs = matches(help.substr(help.find("Subcommands:")), "^  ([a-z]+) ");
    ASSERT_THAT(verbs, SizeIs(Ge(2)));
    const auto page = content_of("src/programs/" + program + ".8");
    EXPECT_THAT(matches(section_of(page, "DESCRIPTION"), "^\\.It Cm ([a-z]+)"),
                ElementsAreArray(verbs));
    for (const auto& verb : verbs) {
      const auto synopsis = section_of(page, "SYNOPSIS");
      EXPECT_NE(synopsis.find("Cm " + verb), std::string::npos) << verb;
      for (const auto& option : matches(help_of(program, verb), "^  --([a-z-]+)")) {
        EXPECT_FALSE(matches(page, "^\\.It Cm (" + verb + ") .*Fl -" + option).empty()) << option;
      }
    }
  }
}

TEST(Manual, EachOptionIsAKeyOfSyncTomlForItsRoleWithItsDefault) {
  const auto master = defaults_of_help(help_of("sync-master"));
  const auto minion = defaults_of_help(help_of("sync-minion"));
  const auto page = content_of("src/programs/sync.toml.5");
  const auto expect = [&](const std::string& heading, bool of_master, bool of_minion) {
    const auto keys = keys_of_page(section_of(page, heading));
    Names expected;
    for (const auto* const options : {&master, &minion}) {
      for (const auto& [name, wanted] : *options) {
        if (is_no_key(name) || master.contains(name) != of_master ||
            minion.contains(name) != of_minion) {
          continue;
        }
        expected.insert(name);
        if (!keys.contains(name)) continue;
        EXPECT_EQ(keys.at(name), is_flag(name) ? (Default{"false", ""}) : wanted) << name;
      }
    }
    EXPECT_EQ(names_of(keys), expected) << heading;
  };
  expect("KEYS OF BOTH PROGRAMS", true, true);
  expect("KEYS OF THE MASTER", true, false);
  expect("KEYS OF THE MINION", false, true);
}

TEST(Manual, TheShippedSyncTomlHasEachKeyAndShowsDefaults) {
  const auto keys = keys_of_page(content_of("src/programs/sync.toml.5"));
  const std::regex setting("^(# )?([a-z-]+) = (.*)$");
  Names found;
  for (const auto& line : lines_of(content_of("cron/sync.toml"))) {
    std::smatch match;
    if (!std::regex_match(line, match, setting)) continue;
    const std::string name = match[2];
    EXPECT_TRUE(found.insert(name).second) << name << " twice";
    if (!match[1].matched || !keys.contains(name) || keys.at(name).value.empty()) continue;
    const std::string shown = match[3];
    EXPECT_THAT(shown, AnyOf(keys.at(name).value, '"' + keys.at(name).value + '"')) << name;
  }
  EXPECT_EQ(found, names_of(keys));
}

TEST(Manual, ExitStatusesAreThoseOfThePrograms) {
  for (const auto& program : kPrograms) {
    const auto section = section_of(content_of("src/programs/" + program + ".8"), "EXIT STATUS");
    EXPECT_THAT(matches(section, "^\\.It (.*)$"), SizeIs(exit_status_table().size()));
    for (const auto& [status, meaning] : exit_status_table()) {
      const auto row =
          "\n.It " + std::to_string(static_cast<int>(status)) + "\n" + std::string(meaning) + "\n";
      EXPECT_NE(section.find(row), std::string::npos) << program << row;
    }
  }
}

void insert_fields(const nlohmann::json& json, Names& fields) {
  if (json.is_array()) {
    for (const auto& one : json) insert_fields(one, fields);
  }
  if (!json.is_object()) return;
  for (const auto& [name, value] : json.items()) {
    fields.insert(name);
    insert_fields(value, fields);
  }
}

TEST(Manual, EachFieldOfTheJsonStatusIsInThePage) {
  RunStatus run{.run = {.id = RunId::parse(std::string(32, 'a')).value(),
                        .task = std::get<TaskPath>(TaskPath::parse("/x")),
                        .fingerprint = Fingerprint::parse(std::string(32, 'b')).value(),
                        .cut = {.stream_bytes = 2, .piece_bytes = 1},
                        .manifest = digest_of("x"),
                        .origin = Address::parse("10.0.0.1").value(),
                        .master = MasterId::parse(std::string(32, 'c')).value()},
                .age = std::chrono::minutes(10),
                .expected = 2,
                .moves = {.placed_lately = 1}};
  HostStatus host{.address = "10.0.0.2",
                  .in_place = 1,
                  .finished_after = std::chrono::milliseconds(1),
                  .error = "x",
                  .seen_ago = std::chrono::milliseconds(1),
                  .is_expected = true,
                  .feed_fault = "x",
                  .hook_fault = "x",
                  .work = "x"};
  LastStatus last;
  last.hosts.push_back({.address = "10.0.0.2", .has_finished = false, .error = "x"});
  const Status status{.task = "/x", .run = run, .last = last, .hosts = {host}, .silent = {}};
  Names fields;
  insert_fields(nlohmann::json::parse(
                    report_json(status, {.server = "x", .prefix = "", .rules = {}, .host = {}})),
                fields);
  EXPECT_THAT(fields, SizeIs(Ge(30)));
  const auto section = section_of(content_of("src/programs/sync-master.8"), "STATUS");
  Names documented;
  for (const auto& row : matches(section, "^\\.It Ic (.*)$")) {
    for (const auto& name : matches(row, "([a-z_]+)")) documented.insert(name);
  }
  EXPECT_EQ(documented, fields);
}

TEST(Manual, EachFieldOfTheJsonReportIsInThePage) {
  auto account = test::short_run(6, 3, "a reason");
  for (auto& host : account.hosts) host.reason = "another one";
  Names fields;
  insert_fields(nlohmann::json::parse(run_report_json(account)), fields);
  insert_fields(nlohmann::json::parse(run_report_json(test::complete_run(2))), fields);
  EXPECT_THAT(fields, SizeIs(Ge(40)));
  const auto section = section_of(content_of("src/programs/sync-master.8"), "REPORT");
  Names documented;
  for (const auto& row : matches(section, "^\\.It Ic (.*)$")) {
    for (const auto& name : matches(row, "([a-z_]+)")) documented.insert(name);
  }
  EXPECT_EQ(documented, fields);
}

// The text of all sources, with split string literals joined.
std::string messages() {
  std::string all;
  for (const auto* const folder : {"src", "include"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             std::filesystem::path(SOURCE_FOLDER) / folder)) {
      if (entry.path().extension() == ".cpp") all += test::content_of(entry.path());
    }
  }
  return std::regex_replace(all, std::regex("\"\\s*\n\\s*\""), "");
}

TEST(Manual, TheMessagesToAlertOnAreInTheSources) {
  const auto source = messages();
  for (const auto& program : kPrograms) {
    const auto section = section_of(content_of("src/programs/" + program + ".8"), "DIAGNOSTICS");
    const auto all = matches(section, "^\\.It (.*)$");
    EXPECT_THAT(all, SizeIs(Ge(5)));
    for (const auto& message : all) {
      EXPECT_NE(source.find(message), std::string::npos) << program << ": " << message;
    }
  }
}

TEST(Manual, MandocFindsNoFault) {
  for (const auto& page : kPages) {
    const auto ran = test::run({"mandoc", "-T", "lint", "-W", "warning",
                                (std::filesystem::path(SOURCE_FOLDER) / page).string()});
    EXPECT_EQ(ran.status, 0) << page;
    EXPECT_EQ(ran.output + ran.errors, "");
  }
}

// The number of UTF-8 characters.
std::size_t columns_of(const std::string& line) {
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U;
  }));
}

TEST(Manual, ReadmeStaysShort) {
  const auto lines = lines_of(content_of("README.md"));
  EXPECT_LE(lines.size(), 180U);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_LE(columns_of(lines[i]), 100U) << "README.md:" << i + 1 << ": " << lines[i];
  }
}

TEST(Manual, LinksInTheDocumentsLeadToFiles) {
  for (const std::filesystem::path document : {"README.md", "tests/bench/README.md"}) {
    const auto links = matches(content_of(document), "\\]\\(([^)#]+)\\)");
    EXPECT_THAT(links, Not(IsEmpty())) << document;
    for (const auto& link : links) {
      const auto target = std::filesystem::path(SOURCE_FOLDER) / document.parent_path() / link;
      EXPECT_TRUE(std::filesystem::exists(target)) << document << ": " << link;
    }
  }
}

// The file that a user of the Python pair copies: a master that pushes to the first host.
TEST(Manual, TheConfigurationForMigrationIsAccepted) {
  const auto readme = content_of("README.md");
  const auto begin = readme.find("    redis = \"");
  ASSERT_NE(begin, std::string::npos);
  auto text = readme.substr(begin, readme.find("\n\n", begin) - begin);
  for (const auto* const key :
       {"push-to = ", "push-module = \"repo\"", "minions = ", "rsync-user"}) {
    EXPECT_NE(text.find(key), std::string::npos) << key;
  }
  const test::TemporaryFolder folder;
  const auto password = folder.path() / "rsync.password";
  test::write_file(password, "secret\n");
  std::filesystem::permissions(password, std::filesystem::perms(0600));
  text = std::regex_replace(text, std::regex("/etc/rsync.password"), password.string());
  text = std::regex_replace(text, std::regex("redis://[^\"]*"), "redis://127.0.0.1:1/0");
  test::write_file(folder.path() / "sync.toml", text);
  for (const auto& program : kPrograms) {
    const auto ran =
        test::run({PROGRAM_FOLDER "/" + program, "--config", (folder.path() / "sync.toml").string(),
                   "--address", "192.168.254.17", "status"});
    EXPECT_EQ(ran.status, 3) << "the configuration is read, and no Redis is there: " << ran.errors;
  }
}

TEST(Manual, TheHelpOfEachVerbHasAnExampleAndTheOptionsThatItUses) {
  for (const auto& program : kPrograms) {
    const auto help = help_of(program);
    EXPECT_NE(help.find(program + " --linger 115s"), std::string::npos);
    for (const auto& verb : matches(help.substr(help.find("Subcommands:")), "^  ([a-z]+) ")) {
      const auto text = help_of(program, verb);
      EXPECT_NE(text.find("\nExample: "), std::string::npos) << program << " " << verb;
      // `functions` asks nobody and needs no option.
      const bool names_options = text.find(" options of " + program) != std::string::npos;
      EXPECT_EQ(names_options, verb != "functions") << program << " " << verb;
    }
  }
}

// An operator copies the shipped files together.
TEST(Manual, TheSampleAddressesOfTheShippedFilesAreOfOneNetwork) {
  const auto configuration = content_of("cron/sync.toml");
  const auto daemon = content_of("rsyncd/rsyncd.conf");
  for (const auto& text : {configuration, daemon}) {
    std::string rest = std::regex_replace(text, std::regex("\\(100\\.64\\.0\\.0/10\\)"), "");
    for (const auto& address : matches(rest, "([0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9]+)")) {
      EXPECT_TRUE(address.starts_with("192.168.254.")) << address;
    }
  }
  for (const std::string document :
       {"README.md", "cron/redis-users.conf", "src/programs/sync-master.8",
        "src/programs/sync-minion.8", "src/programs/sync.toml.5"}) {
    for (const auto& address : matches(
             content_of(document), "(?:^|[^0-9.])([0-9]+\\.[0-9]+\\.[0-9]+\\.[0-9[]+)(?![0-9/])")) {
      // The default of --redis, and the transcript of ./tests/demo.
      const bool is_local = address == "127.0.0.1" || address.starts_with("127.187.");
      EXPECT_TRUE(is_local || address.starts_with("192.168.254.")) << document << ": " << address;
    }
  }
  EXPECT_EQ(matches(configuration, "^# peers = \\[\"(.*)\"\\]$"),
            matches(daemon, "^hosts allow = (.*)$"));
  EXPECT_EQ(matches(configuration, "^# address = \"(.*)\"$"), matches(daemon, "^address = (.*)$"));
}

}  // namespace
}  // namespace libsync
