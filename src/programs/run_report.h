#pragma once

// `sync-master report`: the account of a run that has ended, for a person or for a program.
// run_svg.h draws it.
//
// Pure functions of an account, which comes from a file and is hostile: they escape all text, and
// believe no number. The JSON has a version as that of `status` has.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libsync/core/run_account.h"
#include "libsync/core/run_bound.h"
#include "master/run_files.h"

namespace libsync {

/// A run beside its bound.
struct Measured {
  std::size_t hosts = 0;                 ///< Those that the bound is for.
  std::optional<double> fastest;         ///< fastest_link().
  std::optional<Duration> bound;         ///< Nothing if no host measured its rate.
  std::optional<Duration> all_had_it;    ///< Nothing if a host never did.
  std::optional<double> factor;          ///< all_had_it as a multiple of the bound.
  const HostAccount* slowest = nullptr;  ///< Null if no host is known.
};

/// `account` must outlive the result.
[[nodiscard]] Measured measured(const RunAccount& account);

/// The slowest host and its cause, escaped: `10.0.1.3, after 32.0 s: slow link: 12 MB/s of 180
/// MB/s`. Empty if no host is known.
[[nodiscard]] std::string slowest_text(const RunAccount& account, const Measured& run);

/// All hosts. The first `most` are those to name. Up to half of them did not finish, or more if too
/// few did. Then the slowest others follow. The rest is as slowest_first() has it.
[[nodiscard]] std::vector<const HostAccount*> notable_first(const RunAccount& account,
                                                            std::size_t most);

/// The delay of a host in one or two words: `slow link`.
[[nodiscard]] std::string_view name_of(Delay delay);

/// A moment in the local time of this host, as the log shows it: `20-Dec-26 17:20:01`.
[[nodiscard]] std::string shown_moment(std::uint64_t ms_since_1970);

/// The file of the run that `wanted` names by its id, or by the beginning of its id; without it, of
/// the latest run. Throws UsageError, which names the runs that are there, if that is none or
/// several. `files` are as RunFiles::all() returns them.
[[nodiscard]] RunFile chosen_run(const std::vector<RunFile>& files,
                                 const std::optional<std::string>& wanted);

/// One screen for a terminal.
[[nodiscard]] std::string run_report_text(const RunAccount& account);

/// One JSON object, on one line, with all hosts.
[[nodiscard]] std::string run_report_json(const RunAccount& account);

}  // namespace libsync
