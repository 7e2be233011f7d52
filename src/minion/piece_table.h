#pragma once

// The state of every piece of a run on this host, and the known digests.
//
// A piece that may be here already:
//
//              range               file              right
//   unknown ----------> candidate ------> checking ---------> verified
//                                 <------
//                                  wrong
//
//                              range, no file          equal
//                       candidate ------> adopting ---------> adopted
//                                 <------
//                          differs, or must be copied
//
//   unknown, candidate, adopting ---> wanted      nothing here holds it
//
// A piece that is pulled:
//
//            assigned              arrived             right
//   wanted ------------> in flight --------> judging ---------> verified
//          <------------           <--------
//           pull is over            wrong, or cut short
//
// A verified piece that becomes part of the payload, published already or not:
//
//             equal so far             equal
//   verified -------------> comparing -------> in place
//            <-------------
//                differs
//
//              must be copied         copied
//   verified ----------------> placing -------> in place
//
// The published payload differs elsewhere, so this piece must be copied:
//
//   adopted ---> candidate
//   in place ---> verified
//
// The file of a piece is lost, rotten or deleted:
//
//   verified ---> wanted                 or candidate, where a master delivers the files
//   comparing, placing ---> adopting     a thread still works on it
//   placing ---> wanted                  that thread found it rotten; or candidate, as above
//   in place ---> adopted
//
// A piece is servable while its verified file is in the spool: verified, comparing, placing, in
// place. It is done when it is in place or adopted. `move` refuses every transition that is not in
// the list of piece_table.cpp. So an unforeseen order of events fails where it happens.
//
// Placement moves pieces as threads report the state of the disk. The ledger moves them as pulls
// start and end. Pure; belongs to one thread. A death loses the table, and the next tick makes it
// again from the disk.

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "libsync/core/digest.h"
#include "libsync/core/pieces.h"

namespace libsync {

enum class PieceState : unsigned char {
  unknown,    ///< The published payload may hold it; the survey has not come to it yet.
  candidate,  ///< A file, or a published range, may hold it. Its digest will decide.
  checking,   ///< A thread compares the candidate's file with the digest.
  adopting,   ///< A thread compares the published range with the digest, and may copy it.
  wanted,     ///< The host must pull it.
  in_flight,  ///< An assignment names it, and its pull has not delivered it.
  judging,    ///< Delivered: a thread compares it with the digest.
  verified,   ///< Its file is in the spool, proven.
  comparing,  ///< Verified, and a thread compares the published range with the digest.
  placing,    ///< Verified, and a thread copies it into the tree.
  in_place,   ///< Verified, and part of the payload.
  adopted,    ///< Part of the payload, and no file: this host cannot serve it.
};

[[nodiscard]] std::string_view name_of(PieceState state);

class PieceTable {
 public:
  /// Every piece gets the state `initial`.
  explicit PieceTable(PieceNumber pieces, PieceState initial = PieceState::wanted);

  [[nodiscard]] PieceNumber size() const { return static_cast<PieceNumber>(states_.size()); }
  [[nodiscard]] PieceState state(PieceNumber piece) const { return states_.at(piece); }

  /// Throws std::logic_error, and changes nothing, unless the transition is in the list.
  void move(PieceNumber piece, PieceState to);

  /// Pieces with a verified file. This host may offer them.
  [[nodiscard]] const PieceSet& servable() const { return servable_; }
  /// In place or adopted.
  [[nodiscard]] const PieceSet& in_place() const { return in_place_; }
  /// All but the wanted ones.
  [[nodiscard]] const PieceSet& unwanted() const { return unwanted_; }
  /// Servable, in place, or both.
  [[nodiscard]] PieceNumber verified() const { return verified_; }
  [[nodiscard]] PieceNumber wanted() const { return wanted_; }
  [[nodiscard]] PieceNumber candidates() const { return candidates_; }

  [[nodiscard]] std::vector<PieceNumber> in(PieceState state) const;

  /// The master has announced this piece.
  void announce(const StagedPiece& piece);
  [[nodiscard]] const PieceSet& announced() const { return announced_; }
  /// Nothing if this host does not know the digest.
  [[nodiscard]] std::optional<Digest> digest(PieceNumber piece) const;
  /// Its rolling sum; zero if this host does not know it.
  [[nodiscard]] RollingSum sum(PieceNumber piece) const { return sums_.at(piece); }

  /// Candidates whose digest this host does not know.
  [[nodiscard]] std::vector<PieceNumber> without_digest() const;

 private:
  void count(PieceNumber piece, PieceState state, int by);

  std::vector<PieceState> states_;
  std::vector<Digest> digests_;
  std::vector<RollingSum> sums_;
  PieceSet announced_;
  PieceSet servable_;
  PieceSet in_place_;
  PieceSet unwanted_;
  PieceNumber verified_ = 0;
  PieceNumber wanted_ = 0;
  PieceNumber candidates_ = 0;
};

}  // namespace libsync
