# The scripts under tests/ source this file. It installs packages and builds.
#
#   need PACKAGE...    installs missing Debian packages (as root, or by sudo)
#   build TARGET...    builds the release preset, in build/release
#   build_preset PRESET TARGET...   builds another one
#   fail MESSAGE       ends the script
#
# It sets `top`, the folder of the project, and `programs`, the folder of the built programs.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
programs=$top/build/release/src

build_packages=(g++ cmake ninja-build pkg-config libhiredis-dev libspdlog-dev libfmt-dev libcli11-dev
                nlohmann-json3-dev libtomlplusplus-dev llvm-15-dev libgtest-dev libgmock-dev)
run_packages=(redis-server redis-tools rsync)
check_packages=(git iproute2 libxml2-utils mandoc prometheus python3 strace util-linux)
fuzz_packages=(clang libclang-rt-dev)
package_packages=(debootstrap dpkg-dev file iproute2 lintian procps util-linux)

fail() {
  echo "$(basename "$0"): $1" >&2
  exit 1
}

need() {
  local missing=() package sudo=()
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing: ${missing[*]}"
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  # A machine that has just booted may update itself, and apt does not wait for the lock of the lists. A
  # download may fail, too.
  local try apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive
                 apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
  for try in {1..12}; do
    "${apt[@]}" update && break
    [ "$try" -lt 12 ] || fail "apt-get update failed $try times: see what it says above"
    sleep 10
  done
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# Shows the output of the compiler only if the build fails.
build() {
  need "${build_packages[@]}"
  echo "building (the first time takes some minutes)"
  build_preset release "$@"
}

build_preset() {  # PRESET TARGET...
  local log preset=$1
  shift
  log=$(mktemp)
  if ! (cd "$top" && cmake --preset "$preset" && cmake --build --preset "$preset" --target "$@") >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}
