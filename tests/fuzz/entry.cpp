// The function that libFuzzer calls.

#include <cstddef>
#include <cstdint>

#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  libsync::fuzz::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
