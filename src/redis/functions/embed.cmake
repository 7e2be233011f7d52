# Writes the PARTS of a Lua source, one after the other, as a C++ string into TO.
set(source "")
foreach(part ${PARTS})
  file(READ ${FROM}/${part}.lua text)
  string(APPEND source "${text}")
endforeach()
# The functions know which text they are, so that a program can compare it with its own.
string(SHA1 digest "${source}")
string(REPLACE "@DIGEST@" "${digest}" source "${source}")
file(WRITE ${TO} "#include \"redis/coordinator.h\"

namespace libsync {

namespace {

constexpr std::string_view kSource = R\"lua(${source})lua\";

}  // namespace

std::string_view functions_source() { return kSource; }

std::string_view functions_digest() { return \"${digest}\"; }

}  // namespace libsync
")
