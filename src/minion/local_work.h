#pragma once

// The work of an Assembly, counted for people. A folder of 100,000 files needs minutes on a slow
// disk, and so does one large file, while no piece moves.
//
// The assembler's thread writes it, and any thread may read it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "os/byte_count.h"

namespace libsync {

class LocalWork {
 public:
  enum class Phase : std::uint8_t {
    none,
    listing,     ///< An old payload.
    comparing,   ///< Its bytes with the digests of the run.
    making,      ///< Folders and links.
    assembling,  ///< Files.
    syncing,     ///< The disk writes them.
    publishing,  ///< Lists what only the former folder has, and swaps.
  };

  /// `files`: the files and links of the payload. `bytes`: those of all its files.
  LocalWork(std::size_t files, std::uint64_t bytes) : files_(files), bytes_(bytes) {}

  void begin(Phase phase) { phase_ = phase; }
  /// No file is there.
  void restart();
  /// The listing has so many entries.
  void list(std::size_t entries) { listed_ = entries; }
  /// A file has its contents, or a link its target.
  void copy_one() { ++copied_; }
  /// It has its mode and times, too.
  void complete_one() { ++complete_; }

  /// A piece begins. The bytes of one that failed count no more.
  void begin_piece() { copied_now_ = hashed_now_ = 0; }
  /// It is in place.
  void end_piece(std::uint64_t bytes);

  /// The bytes of the old payload that are compared.
  [[nodiscard]] ByteCount* compared() { return &compared_; }
  /// The bytes of the present piece that are copied into the tree, and hashed.
  [[nodiscard]] ByteCount* copied() { return &copied_now_; }
  [[nodiscard]] ByteCount* hashed() { return &hashed_now_; }

  /// For a person: `assembling 41,000 of 100,000 files, copied 3.1 GB and hashed 3 GB of 7 GB`. At
  /// most 100 bytes. Empty if there is no work.
  [[nodiscard]] std::string text() const;

 private:
  [[nodiscard]] std::string assembling_text() const;

  std::size_t files_;
  std::uint64_t bytes_;
  std::atomic<Phase> phase_{Phase::none};
  std::atomic<std::size_t> listed_{0};
  std::atomic<std::size_t> copied_{0};
  std::atomic<std::size_t> complete_{0};
  ByteCount compared_{0};
  ByteCount in_place_{0};
  ByteCount copied_now_{0};
  ByteCount hashed_now_{0};
};

}  // namespace libsync
