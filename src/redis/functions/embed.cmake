# Writes the PARTS of a Lua source, one after the other, as a C++ string into TO.
set(source "")
foreach(part ${PARTS})
  file(READ ${FROM}/${part}.lua text)
  string(APPEND source "${text}")
endforeach()
file(WRITE ${TO} "#include \"redis/coordinator.h\"

namespace libsync {

namespace {

constexpr std::string_view kSource = R\"lua(${source})lua\";

}  // namespace

std::string_view functions_source() { return kSource; }

}  // namespace libsync
")
