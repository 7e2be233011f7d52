#pragma once

// The work of one download, for the log and for the account that the host gives of its part.
//
// Pure. A Tally decides nothing and belongs to one thread.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "libsync/core/pieces.h"
#include "libsync/core/run_account.h"
#include "libsync/core/time.h"
#include "libsync/transfer.h"

namespace libsync {

class Tally {
 public:
  /// The host joined the run at this moment.
  explicit Tally(Instant joined) : joined_(joined) {}

  /// A pull from a source begins. True if it is the first one from there.
  bool started(const Address& source, Instant now);
  void arrived(const FileArrived& file, Instant now);
  void moved(Instant now);
  /// A good piece came from this source.
  void brought(const Address& source) { ++fed_by_[source]; }
  /// A source sent wrong bytes. No piece: in the manifest.
  void found_bad(std::optional<PieceNumber> piece);
  /// A pull ended that was not superseded.
  void ended(const TransferEnded& end);
  /// Every piece is in its place.
  void gathered(Instant now) { in_place_ = now; }

  [[nodiscard]] Instant joined() const { return joined_; }
  [[nodiscard]] std::uint64_t wire_bytes() const { return pulls_.wire_bytes; }
  /// The pieces of each source that this host pulled from.
  [[nodiscard]] const std::map<Address, PieceNumber>& fed_by() const { return fed_by_; }

  /// `superseded` pulls brought what this host had from elsewhere.
  [[nodiscard]] OwnAccount account(std::size_t superseded, Instant now) const;

 private:
  [[nodiscard]] std::uint64_t bytes_per_second() const;

  Instant joined_;
  std::optional<Instant> first_pull_;
  std::optional<Instant> first_byte_;
  std::optional<Instant> first_file_;
  std::optional<Instant> last_byte_;
  std::optional<Instant> in_place_;
  std::uint64_t first_file_bytes_ = 0;
  Pulls pulls_;
  std::map<Address, PieceNumber> fed_by_;
  std::string reason_;  // Why the last pull failed.
};

}  // namespace libsync
