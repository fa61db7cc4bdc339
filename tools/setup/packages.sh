# Packages Fathom is built and tested with, and how to get them. Sourced by ./up and ./check. The names
# are those of Debian 12 and 13 and of Ubuntu 24.04; of "a|b" the first that there is will do.

# For `fathom` itself.
FATHOM_BUILD_PACKAGES=(
  g++ cmake ninja-build pkg-config
  "libboost1.81-dev|libboost1.83-dev" nlohmann-json3-dev libfmt-dev libcli11-dev
  libtomlplusplus-dev libpcre2-dev libssl-dev libhwloc-dev libsqlite3-dev prometheus-cpp-dev
)
# For several ranks, for prefill and decode apart, for gateways, and for stores in PostgreSQL: the
# binary loads what is built with these. The emulated GPU is one of them.
FATHOM_PLUG_IN_PACKAGES=(
  openmpi-bin libopenmpi-dev libucx-dev libpq-dev "libboost-context1.81-dev|libboost-context1.83-dev"
  libgrpc++-dev protobuf-compiler-grpc protobuf-compiler libprotobuf-dev
)
# For the Debian package.
FATHOM_PACKAGING_PACKAGES=(dpkg-dev)
FATHOM_TEST_PACKAGES=(
  ccache libgtest-dev libgmock-dev clang-format-14
  python3 python3-numpy python3-yaml openssl curl
  debootstrap zsh tmux postgresql
)
# Of the sanitizer builds: Debian 13 has 19.
FATHOM_CLANG_VERSION=${FATHOM_CLANG_VERSION:-14}
FATHOM_SANITIZER_PACKAGES=("clang-$FATHOM_CLANG_VERSION" "libclang-rt-$FATHOM_CLANG_VERSION-dev")
# Kernels for aarch64 are cross-compiled and tested under an emulator (cmake/aarch64.cmake).
FATHOM_AARCH64_PACKAGES=(
  g++-aarch64-linux-gnu qemu-user
  libgtest-dev:arm64 libgmock-dev:arm64 "libboost1.81-dev:arm64|libboost1.83-dev:arm64" libfmt-dev:arm64
  libpcre2-dev:arm64 libssl-dev:arm64 libhwloc-dev:arm64 libsqlite3-dev:arm64
  libprometheus-cpp-core1.0:arm64 zlib1g-dev:arm64
)

# Hosts of one machine for tests (tests/e2e/hosts.py).
FATHOM_CLUSTER_PACKAGES=(
  iproute2 util-linux openssh-server openssh-client
  munge slurmctld slurmd slurm-client
)

# A heading, with the minutes since the script began.
say() { printf '\n\033[1m== %s\033[0m (%d:%02d)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }

# Runs a command as root, by sudo where this is another user. FATHOM_ASK=no: without a password.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif [ "${FATHOM_ASK:-}" = no ]; then
    sudo -n "$@"
  else
    sudo "$@"
  fi
}

# What stands before commands that take long: nothing, or what makes them give way to others.
FATHOM_GENTLY=()

# Whether a Debian package, or one of "a|b", is installed.
is_installed() {
  local name
  for name in ${1//|/ }; do
    if [[ $(dpkg-query -W -f='${Status}' "$name" 2>/dev/null) == *'install ok installed'* ]]; then
      return
    fi
  done
  return 1
}

# Prints the given Debian packages that are not installed, one a line.
missing_packages() {
  local package
  for package in "$@"; do
    is_installed "$package" || echo "$package"
  done
}

# Prints the first of "a|b" that apt can install; fails where there is none.
available_package() {
  local name
  for name in ${1//|/ }; do
    if [[ $(LC_ALL=C apt-cache policy "$name" 2>/dev/null) =~ Candidate:\ [^\(] ]]; then
      echo "$name"
      return
    fi
  done
  return 1
}

# Installs what is missing of the given Debian packages, or says what to install elsewhere. What this
# system does not have it says, and goes on: it is the build or the test in need that fails.
install_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian or Ubuntu system. Install what these Debian packages hold, then run"
    echo "this script again with FATHOM_SKIP_PACKAGES=1:"
    printf '  %s\n' "${@//|/ or }"
    [ -n "${FATHOM_SKIP_PACKAGES:-}" ] || exit 1
    return
  fi
  [ -z "${FATHOM_SKIP_PACKAGES:-}" ] || return 0
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "Installing ${missing[*]}"
  as_root "${FATHOM_GENTLY[@]}" apt-get update -qq || return 1
  local package name wanted=()
  for package in "${missing[@]}"; do
    if name=$(available_package "$package"); then
      wanted+=("$name")
    else
      echo "This system has no package ${package//|/ or }; what needs it will fail and say so."
    fi
  done
  [ "${#wanted[@]}" -gt 0 ] || return 0
  as_root "${FATHOM_GENTLY[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get install \
    -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 "${wanted[@]}" |
    { grep -E '^(Need to get|After this operation)' || true; }
}

# What ./check needs to build and run tests for aarch64 on another architecture.
install_aarch64() {
  if command -v dpkg >/dev/null && [ -z "${FATHOM_SKIP_PACKAGES:-}" ] &&
    ! dpkg --print-foreign-architectures | grep -qx arm64; then
    as_root dpkg --add-architecture arm64
  fi
  install_packages "${FATHOM_AARCH64_PACKAGES[@]}"
}

# What ./check needs for tests with several hosts. The tests start the servers themselves: none that
# comes with a new package stays on as a service.
install_cluster() {
  local package missing
  mapfile -t missing < <(missing_packages "${FATHOM_CLUSTER_PACKAGES[@]}")
  install_packages "${FATHOM_CLUSTER_PACKAGES[@]}"
  [ -d /run/systemd/system ] || return 0
  for package in "${missing[@]}"; do
    case $package in
      openssh-server) as_root systemctl disable --now ssh ;;
      munge | slurmctld | slurmd) as_root systemctl disable --now "$package" ;;
    esac
  done
}

# Node.js 18 or newer with npm: tests run outside clients written for it.
install_node() {
  if command -v node >/dev/null && command -v npm >/dev/null; then return; fi
  install_packages nodejs npm
}

# The preset of ./up. Where ./check has been, its build has all that ./up wants, and more.
user_preset() {
  if grep -qs '^FATHOM_TESTS:BOOL=ON$' build/CMakeCache.txt; then echo dev; else echo up; fi
}

# Reads ninja's output and prints every tenth of the way, and whatever is not progress.
show_progress() {
  local line done total tenth told=0
  while IFS= read -r line; do
    if [[ $line =~ ^@([0-9]+)/([0-9]+)@ ]]; then
      done=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
      tenth=$((done * 10 / total))
      if [ "$tenth" -gt "$told" ]; then
        told=$tenth
        printf '   %d%% built (%d:%02d)\n' $((tenth * 10)) $((SECONDS / 60)) $((SECONDS % 60))
      fi
    else
      printf '%s\n' "$line"
    fi
  done
}

# build PRESET|user [TARGET...]: one at a time in a directory, for ./up goes on building while it
# serves.
build() {
  local preset=$1 directory=build settings=()
  shift
  case $preset in
    dev | user) ;;
    *) directory=build/$preset ;;
  esac
  mkdir -p "$directory"
  (
    if command -v flock >/dev/null && ! flock -n 9; then
      echo "Waiting for another build in $directory"
      flock 9
    fi
    [ "$preset" != user ] || preset=$(user_preset)
    if [ "$preset" = asan ]; then
      settings=("-DCMAKE_C_COMPILER=clang-$FATHOM_CLANG_VERSION"
        "-DCMAKE_CXX_COMPILER=clang++-$FATHOM_CLANG_VERSION")
    fi
    cmake --preset "$preset" "${settings[@]}" --log-level=WARNING >/dev/null || exit 1
    NINJA_STATUS='@%f/%t@ ' "${FATHOM_GENTLY[@]}" ninja -C "$directory" "$@" | show_progress
  ) 9>"$directory/.lock"
}
