#include "master/new_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "libsync/core/escaped_text.h"
#include "os/random.h"

namespace libsync {
namespace {

std::uint64_t piece_bytes_for(const Manifest& manifest, const Fingerprint& content,
                              const RunTerms& terms, const KnownPieceBytes& known) {
  switch (terms.piece_size.kind) {
    case PieceSize::Kind::whole:
      return std::max<std::uint64_t>(1, manifest.bytes());
    case PieceSize::Kind::fixed:
      return terms.piece_size.bytes;
    case PieceSize::Kind::automatic:
      break;
  }
  // A changed number of hosts must not discard the pieces that all hosts have.
  const auto bytes = known(content);
  if (bytes && is_allowed({manifest.bytes(), *bytes})) return *bytes;
  return choose_piece_bytes(manifest.bytes(),
                            std::max(terms.expected_count, terms.expected_hosts.size()));
}

// The CPU time of Redis for a claim and its end. It is a third above the measured one, because it
// grows with the hosts that compete: ./tests/bench/micro --benchmark_filter=CompleteAndClaim
constexpr std::chrono::microseconds kClaimCost{350};
// A run that costs Redis less than this gets no warning. By this count 195 hosts and 417 pieces are
// 28 s. Such a run keeps three quarters of a core busy:
// ./tests/simulate --hosts 195 --spread claims
constexpr std::chrono::seconds kClaimsWarned{120};

}  // namespace

std::string warning_of_claims(Spread spread, const Cut& cut, std::size_t hosts) {
  if (spread != Spread::claims) return {};
  const auto cost = std::chrono::duration_cast<std::chrono::seconds>(
      kClaimCost * static_cast<std::int64_t>(hosts) * static_cast<std::int64_t>(cut.pieces()));
  if (cost < kClaimsWarned) return {};
  return fmt::format(
      "--spread claims with {} hosts and {} pieces costs Redis about {} s of CPU time: name "
      "--spread auto or trees, or a larger --piece-size",
      hosts, cut.pieces(), cost.count());
}

std::string warning_of_losses(const TaskPath& task, std::size_t hard_linked_files,
                              const Uncarried& uncarried) {
  std::vector<std::string> parts;
  const auto add = [&](std::size_t count, std::string_view what) {
    if (count > 0) parts.push_back(fmt::format("the {} of {} files", what, count));
  };
  add(uncarried.acls, "ACLs");
  add(uncarried.capabilities, "capabilities");
  add(uncarried.others, "extended attributes");
  if (!parts.empty()) {
    const auto& name = uncarried.first.empty() ? task.name() : uncarried.first;
    parts.back() += fmt::format(" (first '{}')", escaped(name));
  }
  if (hard_linked_files > 0) {
    parts.push_back(
        fmt::format("hard links ({} files have more than one name: each name becomes a file of its "
                    "own)",
                    hard_linked_files));
  }
  if (parts.empty()) return {};
  return fmt::format("'{}' loses what is not carried: {}", escaped(task.text()),
                     fmt::join(parts, ", "));
}

RunTerms terms_of(const MasterConfig& config, const Address& self, const MasterId& master) {
  RunTerms terms{.origin = {self, OriginKind::master},
                 .master = master,
                 .prefix = config.host.prefix,
                 .piece_size = config.piece_size,
                 .expected_count = config.minions,
                 .expected_hosts = {}};
  if (config.push_to) terms.origin = {*config.push_to, OriginKind::minion};
  for (const auto& host : config.inventory) terms.expected_hosts.push_back(host.text());
  return terms;
}

Expected expected_of(const RunTerms& terms, const RunRecord& record) {
  if (!terms.expected_hosts.empty()) return {0, terms.expected_hosts, Unnamed::does_not_count};
  if (terms.expected_count > 0) return {terms.expected_count, {}};
  return {0, record.expected_hosts};
}

std::variant<NewRun, Refusal> make_run(const Original& original, const RunTerms& terms,
                                       const KnownPieceBytes& known) {
  const auto& manifest = original.payload.manifest;
  // Sparse files may have any size. Minions refuse a manifest with more.
  if (!are_short_enough(manifest.entries())) {
    return Refusal{
        fmt::format("the files of '{}' have more than {} bytes, holes included: "
                    "distribute the payload in parts",
                    escaped(original.task.text()), kMaxFileBytes)};
  }
  const auto content = fingerprint_of(original.task, manifest, 0);
  const Cut cut{manifest.bytes(), piece_bytes_for(manifest, content, terms, known)};
  if (!is_allowed(cut)) {
    return Refusal{
        fmt::format("--piece-size cuts '{}' into more than {} pieces: name a larger one, or auto",
                    escaped(original.task.text()), kMaxPieces)};
  }
  auto encoded = manifest.encode();
  if (encoded.size() > Manifest::max_bytes) {
    return Refusal{
        fmt::format("the manifest of '{}' has {} entries and {} bytes, more than {} bytes: "
                    "distribute the payload in parts, or as an archive",
                    escaped(original.task.text()), manifest.entries().size(), encoded.size(),
                    Manifest::max_bytes)};
  }
  RunRecord record{.role = Role::master,
                   .prefix = terms.prefix,
                   .run = random_name<RunId>(),
                   .task = original.task,
                   .content = content,
                   .piece_bytes = cut.piece_bytes,
                   .standing = Standing::prepared,
                   .manifest = digest_of(encoded),
                   .expected_count = terms.expected_count,
                   .expected_hosts = terms.expected_hosts};
  auto info = info_of(record, fingerprint_of(original.task, manifest, cut.piece_bytes), manifest,
                      encoded, terms.origin, terms.master);
  return NewRun{std::move(info), std::move(record), std::move(encoded)};
}

RunInfo info_of(const RunRecord& record, const Fingerprint& fingerprint, const Manifest& manifest,
                std::string_view encoded, const OriginTerms& origin, const MasterId& master) {
  return {.id = record.run,
          .state = RunState::staging,
          .task = record.task,
          .fingerprint = fingerprint,
          .cut = {manifest.bytes(), record.piece_bytes},
          .manifest = digest_of(encoded),
          .manifest_bytes = encoded.size(),
          .origin = origin.origin,
          .origin_kind = origin.kind,
          .master = master};
}

}  // namespace libsync
