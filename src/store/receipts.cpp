#include "store/receipts.h"

#include <fmt/format.h>

#include "libsync/core/owed_hook.h"
#include "os/files.h"
#include "store/served_files.h"

namespace libsync {
namespace {

// A receipt has four short lines, and a debt one name of at most 255 bytes.
constexpr std::size_t kReceiptBytes = 4096;

// The lines of a receipt that tell the file from others; nothing if there is no payload.
std::optional<std::string> identity_of(const std::filesystem::path& destination) {
  const auto status = status_of(destination);
  if (!status) return std::nullopt;
  return fmt::format("device {}\ninode {}\n", status->st_dev, status->st_ino);
}

// The last line of a receipt, if that of its basis is known.
constexpr std::string_view kAlike = "basis alike\n";
constexpr std::string_view kUnlike = "basis unlike\n";

std::string_view line_of(Kinship kinship) {
  switch (kinship) {
    case Kinship::alike:
      return kAlike;
    case Kinship::unlike:
      return kUnlike;
    case Kinship::unknown:
      break;
  }
  return {};
}

// Without the line of its basis. Nothing if there is no payload.
std::optional<std::string> receipt_of(const std::filesystem::path& destination,
                                      const Digest& manifest) {
  const auto identity = identity_of(destination);
  if (!identity) return std::nullopt;
  return fmt::format("manifest {}\n{}", manifest.hex(), *identity);
}

}  // namespace

std::filesystem::path Receipts::path_of(const std::string& payload_name) const {
  // A name of 255 bytes would leave no room for the suffix of replace_file(), hence the hash.
  return path_ / "receipt" / digest_of(payload_name).hex().substr(0, 32);
}

void Receipts::write(const std::filesystem::path& destination, const Digest& manifest,
                     Kinship kinship) const {
  auto receipt = receipt_of(destination, manifest);
  if (!receipt) return;
  *receipt += line_of(kinship);
  replace_file(path_of(destination.filename()), *receipt, kServedFileMode);
}

bool Receipts::has(const std::filesystem::path& destination, const Digest& manifest) const {
  const auto written = read_file(path_of(destination.filename()), kReceiptBytes);
  const auto expected = written ? receipt_of(destination, manifest) : std::nullopt;
  return expected && written->starts_with(*expected);
}

bool Receipts::names(const std::filesystem::path& destination) const {
  const auto written = read_file(path_of(destination.filename()), kReceiptBytes);
  const auto identity = written ? identity_of(destination) : std::nullopt;
  return identity && written->substr(written->find('\n') + 1).starts_with(*identity);
}

Kinship Receipts::kinship(const std::string& payload_name) const {
  const auto written = read_file(path_of(payload_name), kReceiptBytes);
  if (written && written->ends_with(kAlike)) return Kinship::alike;
  if (written && written->ends_with(kUnlike)) return Kinship::unlike;
  return Kinship::unknown;
}

void Receipts::owe_hook(const std::string& payload_name, const Digest& manifest) const {
  replace_file(path_ / "hook", encode(OwedHook{manifest, payload_name}), kServedFileMode);
}

std::optional<std::string> Receipts::hook_owed() const {
  const auto text = read_file(path_ / "hook", kReceiptBytes);
  const auto owed = text ? decode_owed_hook(*text) : std::nullopt;
  if (!owed || !has(path_.parent_path() / owed->payload_name, owed->manifest)) return std::nullopt;
  return owed->payload_name;
}

void Receipts::hook_has_run() const { remove_file(path_ / "hook"); }

}  // namespace libsync
