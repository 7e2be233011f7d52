// The debt of --after-publish beside the receipts: its name becomes part of a path.

#include "target.h"

#include "libsync/core/owed_hook.h"
#include "libsync/core/task.h"

namespace libsync::fuzz {

void check(std::string_view input) {
  const auto owed = decode_owed_hook(input);
  if (owed) {
    require(encode(*owed) == input, "encode() could have written what the parser accepts");
    require(decode_owed_hook(encode(*owed)) == owed, "a debt survives encode()");
    require(is_component(owed->payload_name) && is_plain_line(owed->payload_name),
            "the name is one component");
    require(owed->payload_name != ".libsync", "the name is not the state folder");
  }
  // A host may owe the command for each payload that it may publish.
  if (!is_payload_name(input)) return;
  const OwedHook debt{digest_of(input), std::string(input)};
  require(decode_owed_hook(encode(debt)) == debt, "each payload's name survives encode()");
}

}  // namespace libsync::fuzz
