#include "libsync/core/slots.h"

namespace libsync {
namespace {

// While one pull starts, the others use its share of the link, at both ends. More slots cost memory
// and processor time and are no faster: ./tests/simulate --hosts 195 --slots 5
constexpr unsigned kSlots = 5;

}  // namespace

unsigned default_slots(const Cut& cut) { return cut.pieces() == 1 ? 1 : kSlots; }

// The origin has one upload more than a host has pulls, so that its link is never idle.
unsigned default_origin_uploads(const Cut& cut) { return cut.pieces() == 1 ? 1 : kSlots + 1; }

}  // namespace libsync
