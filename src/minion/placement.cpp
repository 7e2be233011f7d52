#include "minion/placement.h"

#include <fmt/format.h>

#include <utility>

#include "libsync/core/failure.h"
#include "libsync/core/ownership.h"
#include "libsync/core/pieces.h"
#include "libsync/core/verdict.h"
#include "os/files.h"
#include "os/workers.h"

namespace libsync {

Placement::Placement(const Spool& spool, RunInfo run, std::filesystem::path repo,
                     Ownership ownership, Delivery feed)
    : spool_(spool),
      run_(std::move(run)),
      repo_(std::move(repo)),
      ownership_(ownership),
      feed_(feed),
      servable_(run_.cut.pieces()),
      in_place_(run_.cut.pieces()),
      undecided_(run_.cut.pieces()),
      being_decided_(run_.cut.pieces()),
      published_(run_.cut.pieces()),
      being_spliced_(run_.cut.pieces()),
      undelivered_(run_.cut.pieces()),
      verifier_(std::make_unique<Workers>(1)),
      assembler_(std::make_unique<Workers>(1)) {
  if (status_of(repo_ / run_.name)) old_ = Old::unknown;
  for (PieceNumber piece = 0; piece < run_.cut.pieces(); ++piece) {
    if (feed_ != Delivery::pulled || found_at(piece)) undecided_.insert(piece);
  }
  look_for_manifest();
}

Placement::~Placement() = default;

void Placement::append_descriptors(std::vector<int>& descriptors) const {
  descriptors.push_back(verifier_->descriptor());
  descriptors.push_back(assembler_->descriptor());
}

void Placement::collect() {
  verifier_->collect();
  assembler_->collect();
}

PieceSet Placement::verified() const {
  auto all = servable_;
  all |= in_place_;
  return all;
}

PieceSet Placement::not_to_claim() const {
  auto all = verified();
  all |= undecided_;
  if (old_ == Old::unknown || old_ == Old::surveyed || old_ == Old::compared) {
    for (PieceNumber piece = 0; piece < run_.cut.pieces(); ++piece) all.insert(piece);
  }
  return all;
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

void Placement::judge(const StagedPiece& piece) {
  verifier_->submit(
      [spool = spool_, piece, bytes = run_.cut.bytes_of(piece.piece)](const std::stop_token& stop) {
        return spool.accept(spool.incoming_path(piece.piece), piece.piece, bytes, piece.digest,
                            stop);
      },
      [this, number = piece.piece](Verdict verdict) {
        judgements_.push_back({number, verdict});
        if (verdict != Verdict::good) return;
        servable_.insert(number);
        splice(number);
      });
}

std::vector<Judgement> Placement::judgements() { return std::exchange(judgements_, {}); }

std::vector<PieceNumber> Placement::wanted_digests() const {
  std::vector<PieceNumber> wanted;
  for (const auto piece : undecided_.members()) {
    if (!being_decided_.contains(piece) && !digests_.contains(piece)) wanted.push_back(piece);
  }
  return wanted;
}

void Placement::decide(const std::vector<StagedPiece>& pieces) {
  if (feed_ != Delivery::pulled) look_for_manifest();
  for (const auto& [piece, digest] : pieces) digests_.emplace(piece, digest);
  for (const auto piece : undecided_.members()) {
    if (digests_.contains(piece) && !being_decided_.contains(piece)) decide_one(piece);
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

void Placement::recheck(const std::vector<StagedPiece>& pieces) {
  for (const auto& [piece, digest] : pieces) {
    if (!servable_.contains(piece)) continue;
    ++rechecking_;
    verifier_->submit(
        [path = spool_.piece_path(piece), known = digest, bytes = run_.cut.bytes_of(piece)](
            const std::stop_token& stop) { return Spool::inspect(path, bytes, known, stop); },
        [this, number = piece](Verdict verdict) {
          --rechecking_;
          if (verdict != Verdict::good) lose(number, verdict);
        });
  }
}

void Placement::lose(PieceNumber piece, Verdict verdict) {
  servable_.erase(piece);
  if (feed_ != Delivery::pulled) undecided_.insert(piece);
  // Nobody hashes what is in the tree, and it may share its blocks with this piece.
  if (verdict == Verdict::bad && (in_place_.contains(piece) || being_spliced_.contains(piece))) {
    throw Failure(ExitStatus::local, Remedy::try_again,
                  fmt::format("piece {} of the spool was good and is not any more: beginning anew "
                              "with what can be proven; look at this host's memory and disk",
                              piece));
  }
  std::filesystem::remove(spool_.piece_path(piece));
}

bool Placement::is_gathered() const {
  return step_ == Step::gathering && old_ == Old::copied && assembly_ && in_place_.is_complete();
}

void Placement::complete() {
  step_ = Step::completing;
  assembler_->submit(
      [assembly = assembly_](const std::stop_token&) {
        assembly->complete();
        return true;
      },
      [this](bool) { step_ = Step::completed; });
}

void Placement::publish(std::function<void()> then) {
  step_ = Step::publishing;
  if (const auto refusal = refuse_destination(repo_, run_.name, assembly_->manifest().top().kind)) {
    throw Failure(ExitStatus::local, Remedy::operator_acts, refusal->reason);
  }
  assembler_->submit(
      [assembly = assembly_, then = std::move(then)](const std::stop_token&) {
        assembly->publish();
        then();
        return true;
      },
      [this](bool) {
        step_ = Step::published;
        // What was replaced can take long to delete, and what may not be deleted goes with the
        // spool, if ever: nobody waits for it.
        assembler_->submit(
            [tree = spool_.tree_folder()](const std::stop_token&) { return try_remove_tree(tree); },
            [](const std::optional<std::string>&) {});
      });
}

// One from an earlier attempt, or one that was delivered.
void Placement::look_for_manifest() {
  // In incoming: pulled by a tick that was killed before it judged it. Left there, rsync may take
  // it for up to date and deliver nothing.
  for (const auto& path : {spool_.manifest_path(), spool_.incoming_folder() / "manifest",
                           spool_.pushed_folder() / "manifest"}) {
    if (assembly_) return;
    auto manifest = feed_ == Delivery::shared ? Spool::read_manifest(path, run_.manifest)
                                              : spool_.accept_manifest(path, run_.manifest);
    if (manifest) accept_manifest(*std::move(manifest));
  }
}

void Placement::accept_manifest(Manifest manifest) {
  if (manifest.bytes() != run_.cut.stream_bytes) {
    throw Failure(
        ExitStatus::redis, Remedy::operator_acts,
        fmt::format("the manifest lists {} bytes where the run announces {}: run the same "
                    "version of sync-fanout everywhere",
                    manifest.bytes(), run_.cut.stream_bytes));
  }
  if (const auto refusal = refuse_destination(repo_, run_.name, manifest.top().kind)) {
    throw Failure(ExitStatus::local, Remedy::operator_acts, refusal->reason);
  }
  assembly_ = std::make_shared<Assembly>(spool_, std::move(manifest), run_.cut.piece_bytes, repo_,
                                         run_.name, ownership_);
  if (old_ == Old::unknown) {
    survey();
  } else {
    begin_tree();
  }
}

void Placement::survey() {
  struct Survey {
    bool looks_published;
    PieceSet published;
  };
  old_ = Old::surveyed;
  assembler_->submit(
      [assembly = assembly_](const std::stop_token&) {
        return Survey{assembly->looks_published(), assembly->candidates()};
      },
      [this](Survey survey) {
        published_ = std::move(survey.published);
        // It may have changed between the two looks.
        if (survey.looks_published && published_.is_complete()) {
          old_ = Old::compared;
          undecided_ |= published_;
        } else {
          begin_tree();
          for (const auto piece : published_.members()) {
            if (!servable_.contains(piece)) undecided_.insert(piece);
          }
        }
        decide({});
      });
}

void Placement::begin_tree() {
  old_ = Old::copied;
  assembler_->submit(
      [assembly = assembly_](const std::stop_token&) {
        assembly->begin();
        return true;
      },
      [](bool) {});
  for (const auto piece : servable_.members()) splice(piece);
}

// A piece file first: it can be served on. What is published comes after it.
void Placement::decide_one(PieceNumber piece) {
  const auto path = found_at(piece);
  if (!path) {
    if (feed_ != Delivery::pulled) undelivered_.insert(piece);
    decide_published(piece);
    return;
  }
  being_decided_.insert(piece);
  verifier_->submit(
      [spool = spool_, feed = feed_, piece, from = *path, bytes = run_.cut.bytes_of(piece),
       digest = digests_.at(piece)](const std::stop_token& stop) {
        return feed == Delivery::shared ? Spool::inspect(from, bytes, digest, stop)
                                        : spool.accept(from, piece, bytes, digest, stop);
      },
      [this, piece](Verdict verdict) { on_found(piece, verdict); });
}

void Placement::on_found(PieceNumber piece, Verdict verdict) {
  being_decided_.erase(piece);
  if (verdict == Verdict::good) {
    undelivered_.erase(piece);
    servable_.insert(piece);
    if (old_ != Old::compared || in_place_.contains(piece)) undecided_.erase(piece);
    splice(piece);
  }
  if (verdict != Verdict::good && feed_ != Delivery::pulled) undelivered_.insert(piece);
  if (undecided_.contains(piece)) decide_published(piece);
}

void Placement::decide_published(PieceNumber piece) {
  if (old_ == Old::unknown || old_ == Old::surveyed) return;  // The survey comes back to it.
  if (in_place_.contains(piece)) return;
  if (!published_.contains(piece)) {
    // Delivered pieces appear some time; others have to be pulled.
    if (feed_ == Delivery::pulled) undecided_.erase(piece);
    return;
  }
  being_decided_.insert(piece);
  if (old_ == Old::compared) {
    assembler_->submit(
        [assembly = assembly_, piece, digest = digests_.at(piece)](const std::stop_token& stop) {
          return assembly->is_published(piece, digest, stop);
        },
        [this, piece](bool equal) { on_compared(piece, equal); });
  } else {
    assembler_->submit(
        [assembly = assembly_, piece, digest = digests_.at(piece)](const std::stop_token& stop) {
          return assembly->adopt(piece, digest, stop);
        },
        [this, piece](bool equal) { on_adopted(piece, equal); });
  }
}

void Placement::on_compared(PieceNumber piece, bool equal) {
  being_decided_.erase(piece);
  if (old_ != Old::compared) {
    // Another piece differed meanwhile: this one has to be copied after all.
    if (undecided_.contains(piece)) decide_one(piece);
    return;
  }
  if (equal) {
    in_place_.insert(piece);
    settle(piece);
    if (in_place_.is_complete()) step_ = Step::published;
    return;
  }
  published_.erase(piece);
  in_place_ = PieceSet(run_.cut.pieces());
  undecided_ |= published_;
  begin_tree();
  settle(piece);
  decide({});
}

void Placement::on_adopted(PieceNumber piece, bool equal) {
  being_decided_.erase(piece);
  if (equal) in_place_.insert(piece);
  published_.erase(piece);
  settle(piece);
}

// What is published has been asked for the piece. All others live on what was pushed here: that has
// to come even if this host can do without.
void Placement::settle(PieceNumber piece) {
  const bool is_enough = feed_ != Delivery::pushed && in_place_.contains(piece);
  if (is_enough || servable_.contains(piece) || feed_ == Delivery::pulled) undecided_.erase(piece);
}

void Placement::splice(PieceNumber piece) {
  if (!assembly_ || old_ != Old::copied || in_place_.contains(piece) ||
      being_spliced_.contains(piece)) {
    return;
  }
  being_spliced_.insert(piece);
  assembler_->submit(
      [assembly = assembly_, piece](const std::stop_token&) {
        assembly->splice(piece);
        return true;
      },
      [this, piece](bool) {
        being_spliced_.erase(piece);
        in_place_.insert(piece);
      });
}

std::optional<std::filesystem::path> Placement::found_at(PieceNumber piece) const {
  for (const auto& path : {spool_.piece_path(piece), spool_.incoming_path(piece),
                           spool_.pushed_folder() / piece_name(piece)}) {
    const auto status = status_of(path);
    if (status && S_ISREG(status->st_mode) &&
        static_cast<std::uint64_t>(status->st_size) == run_.cut.bytes_of(piece)) {
      return path;
    }
  }
  return std::nullopt;
}

}  // namespace libsync
