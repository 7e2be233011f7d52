# Writes FROM, a Lua source, as a C++ string into TO.
file(READ ${FROM} source)
file(WRITE ${TO} "#include \"redis_coordinator.h\"

namespace libsync {

std::string_view functions_source() { return R\"lua(${source})lua\"; }

}  // namespace libsync
")
