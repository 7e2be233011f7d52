#include "programs/config_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "libsync/core/escaped_text.h"
#include "programs/usage_error.h"

namespace libsync {
namespace {

ConfigKey key_of(const CLI::Option& option) {
  const bool is_flag = option.get_expected_min() == 0;
  const bool is_list = option.get_expected_max() > 1;
  return {option.get_lnames().front(),
          is_flag ? KeyKind::flag : (is_list ? KeyKind::list : KeyKind::text)};
}

// Gives the values to the option, which checks and stores them.
void set(CLI::Option& option, const ConfigEntry& entry, const ConfigOrigin& origin) {
  const auto refuse = [&](const std::string& rest) {
    throw UsageError(origin.message("--" + entry.key, " " + rest));
  };
  try {
    option.add_result(entry.values);
    option.run_callback();
  } catch (const CLI::ValidationError& error) {
    const std::string_view what = error.what();  // `--KEY: RULE`
    refuse(std::string(what.substr(entry.key.size() + 4)));
  } catch (const CLI::ParseError&) {
    // CLI11 checks no text without a validator, so the option is a flag.
    refuse(fmt::format("'{}' is neither true nor false: write {} = true",
                       escaped(entry.values.front()), entry.key));
  }
}

}  // namespace

std::string ConfigOrigin::message(const std::string& option, const std::string& rest) const {
  const auto key = option.substr(std::min<std::size_t>(2, option.size()));
  const auto found = lines.find(key);
  if (found == lines.end()) return option + rest;
  return fmt::format("{}:{}: {}{}", escaped(path), found->second, key, rest);
}

void set_from_config(CLI::App& app, const std::vector<ConfigKey>& other_keys, bool may_be_missing,
                     ConfigOrigin& origin) {
  if (origin.path.empty()) return;
  const auto text = read_config(origin.path);
  if (!text && may_be_missing) return;
  if (!text) {
    throw UsageError(fmt::format("--config '{}' is not there: make it, or correct the name",
                                 escaped(origin.path)));
  }
  auto keys = other_keys;
  for (const auto* const option : app.get_options()) {
    if (option->get_configurable()) keys.push_back(key_of(*option));
  }
  for (const auto& entry : parse_config(*text, origin.path, keys)) {
    auto* const option = app.get_option_no_throw("--" + entry.key);
    if (option == nullptr || option->count() > 0) continue;
    origin.lines[entry.key] = entry.line;
    set(*option, entry, origin);
  }
}

}  // namespace libsync
