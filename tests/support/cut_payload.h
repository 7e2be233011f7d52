#pragma once

// A payload on the disk as a master announces it: its manifest and its pieces.

#include <algorithm>
#include <filesystem>
#include <string>
#include <variant>

#include "libsync/core/digest.h"
#include "libsync/core/manifest.h"
#include "libsync/core/pieces.h"
#include "store/payload.h"
#include "temporary_folder.h"

namespace libsync::test {

/// Uses no code of the product except list_payload().
class CutPayload {
 public:
  CutPayload(const std::filesystem::path& path, std::uint64_t piece_bytes)
      : manifest_(
            std::get<Payload>(list_payload(locate(path.parent_path(), path.filename().string())))
                .manifest),
        piece_bytes_(piece_bytes) {
    for (const auto& entry : manifest_.entries()) {
      if (entry.kind != EntryKind::file) continue;
      const auto content = content_of(entry.name.empty() ? path : path / entry.name);
      std::size_t data = 0;
      for (const auto& hole : entry.holes) {
        stream_ += content.substr(data, hole.offset - data);
        data = hole.offset + hole.bytes;
      }
      stream_ += content.substr(data);
    }
  }

  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  [[nodiscard]] std::uint64_t piece_bytes() const { return piece_bytes_; }
  [[nodiscard]] Cut cut() const { return {stream_.size(), piece_bytes_}; }
  [[nodiscard]] PieceNumber pieces() const {
    return std::max(PieceNumber{1},
                    static_cast<PieceNumber>((stream_.size() + piece_bytes_ - 1) / piece_bytes_));
  }
  [[nodiscard]] std::string piece(PieceNumber number) const {
    return stream_.substr(number * piece_bytes_, piece_bytes_);
  }
  [[nodiscard]] Digest digest(PieceNumber number) const { return digest_of(piece(number)); }
  /// As the master announces it.
  [[nodiscard]] StagedPiece staged(PieceNumber number) const {
    RollingSummer summer;
    summer.add(piece(number));
    return {number, digest(number), summer.sum()};
  }

 private:
  Manifest manifest_;
  std::uint64_t piece_bytes_;
  std::string stream_;
};

}  // namespace libsync::test
