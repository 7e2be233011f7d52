#include "minion/placement.h"

#include <fmt/format.h>

#include <utility>

#include "libsync/core/failure.h"
#include "libsync/core/ownership.h"
#include "libsync/core/pieces.h"
#include "libsync/core/verdict.h"
#include "minion/destination.h"
#include "os/files.h"
#include "os/workers.h"

namespace libsync {
namespace {

// The assembler judges a piece only if no more bytes than these wait for it, because other hosts
// wait for the verdict. A disk that writes 150 MB/s needs half a second for them:
// ./tests/bench/loopback --hosts 4
constexpr std::uint64_t kAheadOfAJudgement = std::uint64_t{64} << 20U;
// If a piece has more files than this, on the average, the assembler judges no piece. Making the
// files and putting them on the disk takes longer than copying the bytes. A guard, not tuned.
constexpr std::size_t kFilesAPiece = 8;

}  // namespace

Placement::Placement(PieceTable& pieces, const Spool& spool, RunInfo run,
                     std::filesystem::path repo, Ownership ownership, Delivery delivery,
                     BasisRule basis, std::stop_token stop)
    : pieces_(pieces),
      spool_(spool),
      run_(std::move(run)),
      repo_(std::move(repo)),
      ownership_(ownership),
      delivery_(delivery),
      room_(pieces, spool, run_, repo_, std::move(stop)),
      versions_(old_versions(repo_, run_.task.name(), basis)),
      published_(run_.cut.pieces()),
      undelivered_(run_.cut.pieces()),
      search_(spool_, run_.cut),
      verifier_(std::make_unique<Workers>(1)),
      assembler_(std::make_unique<Workers>(1)) {
  if (basis_for(EntryKind::file) || basis_for(EntryKind::folder) || has_former())
    old_ = Old::unknown;
  for (PieceNumber piece = 0; piece < run_.cut.pieces(); ++piece) {
    if (delivery_ != Delivery::pulled || found_at(piece)) {
      pieces_.move(piece, PieceState::candidate);
    } else if (old_ == Old::copied) {
      pieces_.move(piece, PieceState::wanted);
    }
  }
  find_manifest();
}

Placement::~Placement() = default;

void Placement::append_descriptors(std::vector<int>& descriptors) const {
  descriptors.push_back(verifier_->descriptor());
  descriptors.push_back(assembler_->descriptor());
  search_.append_descriptors(descriptors);
}

void Placement::collect() {
  verifier_->collect();
  assembler_->collect();
  search_.collect();
  search();
}

void Placement::judge_manifest() {
  verifier_->submit(
      [spool = spool_, digest = run_.manifest](const std::stop_token&) {
        return spool.accept_manifest(spool.incoming_folder() / "manifest", digest);
      },
      [this](std::optional<Manifest> manifest) {
        judgements_.push_back({std::nullopt, manifest ? Verdict::good : Verdict::bad});
        if (manifest && !assembly_) accept_manifest(*std::move(manifest));
      });
}

// The assembler copies a piece and then hashes it, which proves the copy as well. If that would
// keep other hosts waiting, the verifier judges the piece first, and it is hashed twice.
void Placement::judge(const StagedPiece& piece, Attempt attempt) {
  pieces_.announce(piece);
  if (assembly_ && old_ == Old::copied && is_assembler_quick()) {
    return judge_by_splicing(piece, attempt);
  }
  verifier_->submit(
      [spool = spool_, piece, attempt, hashed = count_hashing(piece.piece),
       bytes = run_.cut.bytes_of(piece.piece)](const std::stop_token& stop) {
        return spool.accept(spool.incoming_path(piece.piece, attempt), piece.piece, bytes,
                            piece.digest, stop, hashed.get());
      },
      [this, number = piece.piece](Verdict verdict) {
        judgements_.push_back({number, verdict});
        if (verdict != Verdict::good) return;
        pieces_.move(number, PieceState::verified);
        place(number);
      });
}

void Placement::judge_by_splicing(const StagedPiece& piece, Attempt attempt) {
  assembler_->submit(
      [spool = spool_, assembly = assembly_, piece, attempt,
       bytes = run_.cut.bytes_of(piece.piece)](const std::stop_token& stop) {
        return spool.accept(spool.incoming_path(piece.piece, attempt), piece.piece, bytes,
                            [&](const Descriptor& file) {
                              return assembly->splice(piece.piece, file, piece.digest, stop);
                            });
      },
      [this, number = piece.piece](Verdict verdict) {
        judgements_.push_back({number, verdict});
        if (verdict != Verdict::good) return;
        pieces_.move(number, PieceState::verified);
        pieces_.move(number, PieceState::placing);
        pieces_.move(number, PieceState::in_place);
      });
}

bool Placement::is_assembler_quick() const {
  return assembly_->manifest().entries().size() <= kFilesAPiece * run_.cut.pieces() &&
         assembler_->pending() * run_.cut.piece_bytes <= kAheadOfAJudgement;
}

std::vector<Judgement> Placement::judgements() { return std::exchange(judgements_, {}); }

void Placement::decide() {
  if (delivery_ != Delivery::pulled) find_manifest();
  for (const auto piece : pieces_.in(PieceState::candidate)) {
    if (pieces_.digest(piece) && !search_.holds(piece)) decide_one(piece);
  }
  const bool is_waiting = search_.is_open() && !pieces_.announced().is_complete();
  if (is_waiting && !search_.is_worth_waiting()) {
    searched({});
  } else {
    search();
  }
}

std::string Placement::undelivered() const {
  const auto pieces = undelivered_.members();
  return pieces.empty() ? std::string()
                        : fmt::format(
                              "{} pieces are missing or damaged, piece {} first: the master "
                              "delivers them again",
                              pieces.size(), pieces.front());
}

void Placement::reverify() {
  for (const auto piece : pieces_.servable().members()) {
    ++reverifying_;
    verifier_->submit(
        [spool = spool_, piece, digest = *pieces_.digest(piece), hashed = count_hashing(piece),
         bytes = run_.cut.bytes_of(piece)](const std::stop_token& stop) {
          return spool.reverify(piece, bytes, digest, stop, hashed.get());
        },
        [this, piece](Verdict verdict) {
          --reverifying_;
          if (verdict != Verdict::good) lose(piece, verdict);
        });
  }
}

void Placement::lose(PieceNumber piece, Verdict verdict) {
  // The assembler may have found it rotten while the verifier had it in its queue.
  if (!pieces_.servable().contains(piece)) return;
  const auto state = pieces_.state(piece);
  // Nothing hashes the tree again, and it may share its blocks with this piece. The master pushes a
  // bad piece again, because the other hosts depend on it, and only the next Placement finds it.
  const bool is_placed = state == PieceState::in_place || state == PieceState::placing;
  const bool is_pushed = delivery_ == Delivery::pushed && state != PieceState::verified;
  if ((verdict == Verdict::bad && is_placed) || is_pushed) {
    throw Failure(ExitStatus::local, Remedy::try_again,
                  fmt::format("piece {} of the spool was good and is not any more: starting over "
                              "with what can be proven; check this host's memory and disk",
                              piece));
  }
  delete_piece(piece);
  if (state == PieceState::in_place) {
    pieces_.move(piece, PieceState::adopted);
  } else if (state == PieceState::comparing || state == PieceState::placing) {
    pieces_.move(piece, PieceState::adopting);
  } else {
    await(piece);
  }
}

// In a shared spool the master cuts its own pieces again.
void Placement::delete_piece(PieceNumber piece) const {
  if (delivery_ != Delivery::shared) remove_file(spool_.piece_path(piece));
}

// The piece has to come again.
void Placement::await(PieceNumber piece) {
  pieces_.move(piece, delivery_ == Delivery::pulled ? PieceState::wanted : PieceState::candidate);
}

DiskState::Step Placement::step() const {
  const bool is_gathered = step_ == Step::gathering && old_ == Old::copied && assembly_ &&
                           pieces_.in_place().is_complete();
  return is_gathered ? Step::gathered : step_;
}

void Placement::complete() {
  step_ = Step::completing;
  assembler_->submit(
      [assembly = assembly_](const std::stop_token& stop) {
        assembly->complete(stop);
        return true;
      },
      [this](bool) { step_ = Step::completed; });
}

void Placement::publish(std::function<void(const OnlyHere&)> then) {
  step_ = Step::publishing;
  if (const auto refusal =
          refuse_destination(repo_, run_.task.name(), assembly_->manifest().top().kind)) {
    throw Failure(ExitStatus::local, Remedy::operator_acts, refusal->reason);
  }
  assembler_->submit(
      [assembly = assembly_, then = std::move(then)](const std::stop_token& stop) {
        const auto lost = assembly->find_only_here(stop);
        assembly->publish();
        then(lost);
        return true;
      },
      [this](bool) {
        step_ = Step::published;
        assembler_->submit(
            [spool = spool_](const std::stop_token& stop) { return spool.clear_tree(stop); },
            [](bool) {});
      });
}

// The manifest may be from an earlier attempt, or delivered.
void Placement::find_manifest() {
  // A tick that died before its verdict leaves the manifest in incoming/. rsync may mistake it for
  // up to date, and deliver nothing.
  const auto incoming = spool_.incoming_folder() / "manifest";
  find_manifest(spool_.manifest_path());
  find_manifest(incoming);
  if (!assembly_ && delivery_ == Delivery::pushed &&
      spool_.fetch_pushed("manifest", std::nullopt)) {
    find_manifest(incoming);
  }
}

void Placement::find_manifest(const std::filesystem::path& path) {
  if (assembly_) return;
  auto manifest = delivery_ == Delivery::shared ? Spool::read_manifest(path, run_.manifest)
                                                : spool_.accept_manifest(path, run_.manifest);
  if (manifest) accept_manifest(*std::move(manifest));
}

void Placement::accept_manifest(Manifest manifest) {
  if (manifest.bytes() != run_.cut.stream_bytes) {
    throw Failure(
        ExitStatus::redis, Remedy::operator_acts,
        fmt::format("the manifest lists {} bytes where the run announces {}: run the same "
                    "version of sync-fanout everywhere",
                    manifest.bytes(), run_.cut.stream_bytes));
  }
  const auto kind = manifest.top().kind;
  auto refusal = refuse_destination(repo_, run_.task.name(), kind);
  if (!refusal) refusal = refuse_file_system(repo_, run_.task.name(), spool_, kind);
  if (refusal) throw Failure(ExitStatus::local, Remedy::operator_acts, refusal->reason);
  assembly_ = std::make_shared<Assembly>(spool_, std::move(manifest), run_.cut.piece_bytes, repo_,
                                         run_.task.name(), ownership_);
  if (old_ == Old::unknown) {
    survey();
  } else {
    begin_tree();
  }
}

// The tree is complete in the end, whether its bytes are adopted or pulled.
void Placement::begin_tree() {
  room_.require_for_tree();
  old_ = Old::copied;
  assembler_->submit(
      [assembly = assembly_](const std::stop_token& stop) {
        assembly->begin(stop);
        return true;
      },
      [](bool) {});
  for (const auto piece : pieces_.in(PieceState::verified)) place(piece);
}

// A piece file comes before a published range, because the host can serve it.
void Placement::decide_one(PieceNumber piece) {
  const auto path = found_at(piece);
  if (!path) {
    if (delivery_ != Delivery::pulled) undelivered_.insert(piece);
    decide_published(piece);
    return;
  }
  pieces_.move(piece, PieceState::checking);
  verifier_->submit(
      [spool = spool_, delivery = delivery_, piece, from = *path, bytes = run_.cut.bytes_of(piece),
       digest = *pieces_.digest(piece),
       hashed = count_hashing(piece)](const std::stop_token& stop) {
        return delivery == Delivery::shared
                   ? Spool::inspect(from, bytes, digest, stop, hashed.get())
                   : spool.accept(from, piece, bytes, digest, stop, hashed.get());
      },
      [this, piece](Verdict verdict) { on_found(piece, verdict); });
}

void Placement::on_found(PieceNumber piece, Verdict verdict) {
  if (verdict == Verdict::good) {
    undelivered_.erase(piece);
    pieces_.move(piece, PieceState::verified);
    place(piece);
    return;
  }
  pieces_.move(piece, PieceState::candidate);
  if (delivery_ != Delivery::pulled) undelivered_.insert(piece);
  decide_published(piece);
}

// A verified piece waits until the manifest says where it belongs.
void Placement::place(PieceNumber piece) {
  if (!assembly_ || pieces_.state(piece) != PieceState::verified) return;
  if (old_ == Old::compared) {
    pieces_.move(piece, PieceState::comparing);
    assembler_->submit(
        [assembly = assembly_, old = old_copy_, piece, digest = *pieces_.digest(piece)](
            const std::stop_token& stop) { return assembly->is_equal(piece, digest, *old, stop); },
        [this, piece](bool equal) { on_compared(piece, equal); });
  } else if (old_ == Old::copied) {
    pieces_.move(piece, PieceState::placing);
    assembler_->submit(
        [assembly = assembly_, piece, digest = *pieces_.digest(piece)](
            const std::stop_token& stop) { return assembly->splice(piece, digest, stop); },
        [this, piece](Verdict verdict) { on_placed(piece, verdict); });
  }
}

// A piece whose bytes changed between its verdict and its copy has to come again.
void Placement::on_placed(PieceNumber piece, Verdict verdict) {
  const bool has_file = pieces_.state(piece) == PieceState::placing;
  if (verdict == Verdict::good) {
    pieces_.move(piece, has_file ? PieceState::in_place : PieceState::adopted);
  } else {
    delete_piece(piece);
    await(piece);
  }
}

std::optional<std::filesystem::path> Placement::found_at(PieceNumber piece) const {
  const auto bytes = run_.cut.bytes_of(piece);
  for (const auto& path : {spool_.piece_path(piece), spool_.incoming_path(piece)}) {
    const auto status = status_of(path);
    if (status && S_ISREG(status->st_mode) &&
        static_cast<std::uint64_t>(status->st_size) == bytes) {
      return path;
    }
  }
  const bool is_pushed = delivery_ == Delivery::pushed;
  if (!is_pushed || !spool_.fetch_pushed(piece_name(piece), bytes)) return std::nullopt;
  return spool_.incoming_path(piece);
}

}  // namespace libsync
