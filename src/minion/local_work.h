#pragma once

// The work of an Assembly, counted for people: a folder of 100,000 files needs minutes on a slow
// disk, while no piece moves.
//
// The assembler's thread writes it, and any thread may read it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace libsync {

class LocalWork {
 public:
  enum class Phase : std::uint8_t {
    none,
    reading,     ///< The published payload.
    making,      ///< Folders and links.
    assembling,  ///< Files.
    syncing,     ///< The disk writes them.
  };

  /// `files`: the files and links of the payload.
  explicit LocalWork(std::size_t files) : files_(files) {}

  void begin(Phase phase) { phase_ = phase; }
  /// No file is there.
  void restart() { copied_ = complete_ = 0; }
  /// A file has its contents, or a link its target.
  void copy_one() { ++copied_; }
  /// It has its mode and times, too.
  void complete_one() { ++complete_; }

  /// For a person: `assembling 41,000 of 100,000 files`. Empty if there is no work.
  [[nodiscard]] std::string text() const;

 private:
  std::size_t files_;
  std::atomic<Phase> phase_{Phase::none};
  std::atomic<std::size_t> copied_{0};
  std::atomic<std::size_t> complete_{0};
};

}  // namespace libsync
