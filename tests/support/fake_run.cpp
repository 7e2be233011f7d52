#include "fake_run.h"

#include <algorithm>
#include <limits>

namespace libsync::test {
namespace {

constexpr std::uint64_t kLeaseMs =
    std::chrono::duration_cast<std::chrono::milliseconds>(LeaseTerms::lifetime).count();
constexpr std::uint64_t kKeptAwayMs = 5000;
constexpr std::uint64_t kKeptAwayFromBusyMs = 300;
constexpr std::uint64_t kQuarantineMs = 60'000;
constexpr std::size_t kWaitersASecond = 500;
constexpr std::size_t kStrikes = 2;
constexpr std::size_t kStrikesIfCorrupt = 2;
constexpr std::size_t kStrikesIfSlow = 2;

}  // namespace

FakeRun::FakeRun(RunInfo begun, unsigned origin_slots) : info(std::move(begun)) {
  host(info.origin).slots = origin_slots;
}

FakeHost& FakeRun::host(const Address& address) {
  return hosts.try_emplace(address, FakeHost{.have = PieceSet(info.cut.pieces())}).first->second;
}

View FakeRun::view(const Address& address, std::uint64_t now) {
  const auto offering = std::count_if(
      hosts.begin(), hosts.end(), [&](const auto& known) { return is_offering(known.first, now); });
  const bool is_suspect = host(address).is_suspect && !is_masters_spool(address);
  return {info.state, static_cast<std::size_t>(offering), finished(),
          is_suspect ? Suspicion::verify : Suspicion::none, usual_piece};
}

bool FakeRun::is_masters_spool(const Address& address) const {
  return address == info.origin && info.origin_kind == OriginKind::master;
}

void FakeRun::hold(const Address& address, const Holdings& holdings) {
  if (!is_masters_spool(address)) host(address).have = holdings.servable;
}

void FakeRun::report(const Address& address, const Holdings& holdings, unsigned slots,
                     Clearance clearance, std::uint64_t now) {
  hold(address, holdings);
  if (!is_masters_spool(address)) {
    host(address).slots = set_aside.contains(address) ? 0 : slots;
    if (clearance == Clearance::cleared) host(address).is_suspect = false;
  }
  volunteer(address);
  if (slots > 0) host(address).feed_fault.clear();
  progress(address, holdings.in_place, now);
}

void FakeRun::progress(const Address& address, std::size_t in_place, std::uint64_t now) {
  auto& before = host(address).in_place;
  if (in_place > before) moves[now] += in_place - before;
  before = static_cast<PieceNumber>(in_place);
}

std::size_t FakeRun::placed_since(std::uint64_t then) const {
  std::size_t pieces = 0;
  for (auto move = moves.upper_bound(then); move != moves.end(); ++move) pieces += move->second;
  return pieces;
}

void FakeRun::stage(const std::vector<StagedPiece>& pieces, RunState final_state) {
  for (const auto& staged : pieces) announced.insert_or_assign(staged.piece, staged);
  if (final_state == RunState::staged && announced.size() == info.cut.pieces()) {
    info.state = RunState::staged;
  }
  if (info.origin_kind == OriginKind::master) {
    for (const auto& [piece, digest] : announced) host(info.origin).have.insert(piece);
  }
}

// --- Claims ---

bool FakeRun::is_offering(const Address& address, std::uint64_t now) {
  const auto& known = host(address);
  // While the master stages, nobody else may have what the origin has.
  const bool is_held_back =
      known.is_suspect && !(is_masters_spool(address) && info.state == RunState::staging);
  return uploads_of(address) < known.slots && known.have.size() > 0 && !is_held_back &&
         known.quarantine_ms <= now;
}

std::vector<Address> FakeRun::sources_for(const Address& address, std::uint64_t now) {
  std::vector<Address> sources;
  for (const auto& [source, known] : hosts) {
    const auto away = known.kept_away_ms.find(address);
    const bool is_kept_away = away != known.kept_away_ms.end() && away->second > now;
    if (source != address && !is_kept_away && is_offering(source, now)) sources.push_back(source);
  }
  std::stable_sort(sources.begin(), sources.end(), [this](const Address& one, const Address& two) {
    return uploads_of(one) < uploads_of(two);
  });
  return sources;
}

std::vector<PieceNumber> FakeRun::useful(const Address& source, const Want& want) {
  std::vector<PieceNumber> pieces;
  for (const auto& [piece, digest] : announced) {
    if (pieces.size() == want.most_pieces) break;
    if (host(source).have.contains(piece) && !want.unwanted.contains(piece)) {
      pieces.push_back(piece);
    }
  }
  return pieces;
}

std::optional<FakeClaim> FakeRun::find(const Address& address, const Want& want,
                                       std::uint64_t now) {
  std::optional<FakeClaim> best;
  for (const auto& source : sources_for(address, now)) {
    if (source == want.beside) continue;
    auto pieces = useful(source, want);
    if (pieces.empty() && want.most_pieces > 0) continue;
    if (!best || (!pieces.empty() && pieces.front() < best->pieces.front())) {
      best = FakeClaim{address, source, std::move(pieces), now + kLeaseMs, now};
    }
  }
  return best;
}

ClaimOutcome FakeRun::claim(const Address& address, const Want& want, std::uint64_t now) {
  auto known = claims.find(want.token);
  if (known == claims.end()) {
    if (auto found = find(address, want, now)) {
      known = claims.emplace(want.token, *std::move(found)).first;
      host(address).waits_for.reset();
    }
  }
  if (known != claims.end() && known->second.puller == address) {
    const auto& granted = known->second;
    return Claimed{{want.token, granted.source, announced_of(granted.pieces)}, view(address, now)};
  }
  host(address).waits_for = want;
  const auto waiting = std::count_if(
      hosts.begin(), hosts.end(), [](const auto& one) { return one.second.waits_for.has_value(); });
  const auto patience = (static_cast<std::size_t>(waiting) + kWaitersASecond - 1) / kWaitersASecond;
  return Wait{view(address, now), std::chrono::seconds(patience)};
}

void FakeRun::release(const Token& token) { claims.erase(token); }

void FakeRun::measure(const FakeClaim& claim, std::uint64_t now) {
  if (claim.pieces.empty()) return;
  usual_piece =
      Duration(std::max<std::uint64_t>(1, (now - claim.granted_ms) / claim.pieces.size()));
}

void FakeRun::release_all(const Address& address) {
  std::erase_if(claims, [&](const auto& held) { return held.second.puller == address; });
}

void FakeRun::reap(std::uint64_t now) {
  std::erase_if(claims, [&](const auto& held) { return held.second.lapses_ms <= now; });
}

std::vector<Address> FakeRun::end_servable_waits(std::uint64_t now) {
  std::vector<Address> woken;
  std::map<Address, unsigned> promised;
  for (auto& [address, known] : hosts) {
    if (!known.waits_for) continue;
    for (const auto& source : sources_for(address, now)) {
      const bool is_for_manifest = known.waits_for->most_pieces == 0;
      const auto free = host(source).slots - uploads_of(source);
      if (promised[source] >= free) continue;
      if (!is_for_manifest && useful(source, *known.waits_for).empty()) continue;
      ++promised[source];
      known.waits_for.reset();
      woken.push_back(address);
      break;
    }
  }
  return woken;
}

// --- Blame ---

void FakeRun::accuse(const Address& accuser, const Address& source, PullEnd end,
                     std::uint64_t now) {
  auto& accused = host(source);
  const bool is_busy = end == PullEnd::busy;
  accused.kept_away_ms[accuser] = now + (is_busy ? kKeptAwayFromBusyMs : kKeptAwayMs);
  if (is_busy) return;
  if (end == PullEnd::missing) {
    accused.is_suspect = true;
    return;
  }
  auto& strikes = accused.strikes[end];
  strikes.insert(accuser);
  const bool is_corrupt = end == PullEnd::corrupt;
  // All copies come from the origin.
  if (is_corrupt && source == info.origin) accused.is_suspect = true;
  if (strikes.size() < (is_corrupt ? kStrikesIfCorrupt : kStrikes)) return;
  strikes.clear();
  accused.quarantine_ms = now + kQuarantineMs;
  accused.is_suspect = accused.is_suspect || is_corrupt;
  vacate(source);
}

void FakeRun::absolve(const Address& accuser, const Address& source) {
  auto& accused = host(source);
  accused.kept_away_ms.erase(accuser);
  for (auto& [end, strikes] : accused.strikes) strikes.erase(accuser);
}

void FakeRun::clear(const Address& address) {
  auto& known = host(address);
  known.is_suspect = false;
  known.quarantine_ms = 0;
  known.strikes.clear();
}

// --- Seats ---

Seat FakeRun::seat_of(const Address& address, const PieceSet& known) {
  constexpr std::chrono::milliseconds kPollShort{100};
  constexpr std::chrono::milliseconds kPollLong{4000};
  if (!set_aside.contains(address) &&
      std::find(seats.begin(), seats.end(), address) == seats.end()) {
    seats.push_back(address);
  }
  Seat seat{.poll_short = kPollShort, .poll_long = kPollLong, .parents = {}, .digests = {}};
  const auto own = std::find(seats.begin(), seats.end(), address) - seats.begin();
  for (std::size_t tree = 0; tree < trees; ++tree) {
    const auto above = own - 1 - static_cast<std::ptrdiff_t>(tree);
    seat.parents.push_back(above < 0 ? info.origin : seats[static_cast<std::size_t>(above)]);
  }
  if (const auto set = parents.find(address); set != parents.end()) seat.parents = set->second;
  for (const auto& [piece, staged] : announced) {
    if (!known.contains(piece)) seat.digests.push_back(staged);
  }
  return seat;
}

void FakeRun::vacate(const Address& address) { std::erase(seats, address); }

void FakeRun::feed_back(const Address& address, const ParentFeedback& feedback, std::uint64_t now) {
  const auto all = seat_of(address, PieceSet(info.cut.pieces())).parents;
  if (std::find(all.begin(), all.end(), feedback.parent) == all.end()) return;
  switch (feedback.kind) {
    case ParentFeedback::Kind::good:
      return absolve(address, feedback.parent);
    case ParentFeedback::Kind::failing:
      host(address).error = feedback.detail;
      return accuse(address, feedback.parent, feedback.end, now);
    case ParentFeedback::Kind::slow:
      break;
  }
  auto& by = host(feedback.parent).found_slow_by;
  by.insert(address);
  if (by.size() < kStrikesIfSlow || feedback.parent == info.origin) return;
  vacate(feedback.parent);
  set_aside.insert(feedback.parent);
  host(feedback.parent).slots = 0;
}

// --- Figures ---

std::vector<StagedPiece> FakeRun::announced_of(const std::vector<PieceNumber>& pieces) const {
  std::vector<StagedPiece> found;
  for (const auto piece : pieces) {
    const auto one = announced.find(piece);
    if (one != announced.end()) found.push_back(one->second);
  }
  return found;
}

bool FakeRun::volunteer(const Address& host) {
  return !expected_hosts.contains(host.text()) && joined_hosts.insert(host.text()).second &&
         !other_hosts.contains(host.text());
}

bool FakeRun::has_finished(const std::string& name) const {
  const auto address = Address::parse(name);
  const auto known = address ? hosts.find(*address) : hosts.end();
  return known != hosts.end() && known->second.finished_ms;
}

std::vector<std::string> FakeRun::missing() const {
  std::vector<std::string> all;
  auto names = expected_hosts;
  if (!is_named) {
    names.insert(joined_hosts.begin(), joined_hosts.end());
    names.insert(other_hosts.begin(), other_hosts.end());
  }
  std::copy_if(names.begin(), names.end(), std::back_inserter(all),
               [&](const std::string& name) { return !has_finished(name); });
  return all;
}

std::size_t FakeRun::finished() const {
  return static_cast<std::size_t>(std::count_if(hosts.begin(), hosts.end(), [&](const auto& one) {
    return one.second.finished_ms && !other_hosts.contains(one.first.text());
  }));
}

std::size_t FakeRun::expected() const {
  if (is_named) return expected_hosts.size();
  return std::max(expected_hosts.size() + joined_hosts.size(), expected_count);
}

std::size_t FakeRun::claims_of(const Address& address) const {
  return static_cast<std::size_t>(std::count_if(
      claims.begin(), claims.end(), [&](const auto& one) { return one.second.puller == address; }));
}

unsigned FakeRun::uploads_of(const Address& address) const {
  return static_cast<unsigned>(std::count_if(
      claims.begin(), claims.end(), [&](const auto& one) { return one.second.source == address; }));
}

}  // namespace libsync::test
