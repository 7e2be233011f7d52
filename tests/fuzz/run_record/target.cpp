// The run record, which a crash may have cut or an operator may have edited.

#include "target.h"

#include "libsync/core/address.h"
#include "libsync/core/run_record.h"

namespace libsync::fuzz {
namespace {

void check_values(const RunRecord& record) {
  require(record.run.text().size() == 32 && record.content.text().size() == 32, "both ids are set");
  require(record.piece_bytes > 0, "a piece has bytes");
  require(record.task.text().starts_with('/') && is_plain_line(record.task.text()),
          "the task is a path");
  for (const auto& host : record.expected_hosts) {
    require(Address::parse(host).has_value(), "an expected host is an address");
  }
}

}  // namespace

void check(std::string_view input) {
  for (const auto role : {Role::master, Role::minion}) {
    const auto record = decode_run_record(role, input);
    if (!record) continue;
    require(record->role == role, "the role is the caller's");
    check_values(*record);
    const auto text = encode(*record);
    const auto again = decode_run_record(role, text);
    require(again.has_value() && encode(*again) == text, "a record survives encode()");
    require(again->task == record->task && again->run == record->run &&
                again->content == record->content && again->prefix == record->prefix &&
                again->expected_hosts == record->expected_hosts &&
                again->expected_count == record->expected_count &&
                again->piece_bytes == record->piece_bytes && again->begun_ms == record->begun_ms &&
                again->standing == record->standing,
            "each field survives encode()");
    // Without its end of line, the text is still whole.
    const auto cut = std::string_view(text).substr(0, input.size() % (text.size() - 1));
    require(!decode_run_record(role, cut), "a cut record is none");
  }
}

}  // namespace libsync::fuzz
