# Writes FROM, a Lua source, as a C++ string into TO.
file(READ ${FROM} source)
file(WRITE ${TO} "#include \"redis_coordinator.h\"

namespace libsync {

namespace {

constexpr std::string_view kSource = R\"lua(${source})lua\";

}  // namespace

std::string_view functions_source() { return kSource; }

}  // namespace libsync
")
