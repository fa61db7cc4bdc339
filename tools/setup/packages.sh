# Packages Fathom is built and tested with, and how to get them. Sourced by ./up and ./check.

FATHOM_BUILD_PACKAGES=(
  g++ cmake ninja-build ccache pkg-config
  libboost1.81-dev nlohmann-json3-dev libfmt-dev libcli11-dev libtomlplusplus-dev
  libpcre2-dev libssl-dev libhwloc-dev prometheus-cpp-dev
  openmpi-bin libopenmpi-dev   # several ranks; one alone needs neither
  libucx-dev                   # prefill and decode apart; one engine needs it not
  libgtest-dev libgmock-dev   # test binaries are built with everything else
)
FATHOM_TEST_PACKAGES=(clang-format-14 python3 python3-numpy python3-yaml openssl tmux)
FATHOM_SANITIZER_PACKAGES=(clang-14 libclang-rt-14-dev)
# Kernels for aarch64 are cross-compiled and tested under an emulator (cmake/aarch64.cmake).
FATHOM_AARCH64_PACKAGES=(
  g++-aarch64-linux-gnu qemu-user
  libgtest-dev:arm64 libgmock-dev:arm64 libboost1.81-dev:arm64 libfmt-dev:arm64
  libpcre2-dev:arm64 libssl-dev:arm64 libhwloc-dev:arm64
  libprometheus-cpp-core1.0:arm64 zlib1g-dev:arm64
)

# Hosts of one machine for tests (tests/e2e/hosts.py).
FATHOM_CLUSTER_PACKAGES=(
  iproute2 util-linux openssh-server openssh-client
  munge slurmctld slurmd slurm-client
)

# A heading, with the minutes since the script began.
say() { printf '\n\033[1m== %s\033[0m (%d:%02d)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }

# Runs a command as root, by sudo where this is another user.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Prints the given Debian packages that are not installed, one a line.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
      echo "$package"
  done
}

# Installs what is missing of the given Debian packages, or says what to install elsewhere.
install_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian or Ubuntu system. Install what these Debian packages hold, then run"
    echo "this script again with FATHOM_SKIP_PACKAGES=1:"
    printf '  %s\n' "$@"
    [ -n "${FATHOM_SKIP_PACKAGES:-}" ] || exit 1
    return
  fi
  [ -z "${FATHOM_SKIP_PACKAGES:-}" ] || return 0
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "Installing ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
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

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  local directory=build
  [ "$preset" = dev ] || directory=build/$preset
  cmake --preset "$preset" --log-level=WARNING >/dev/null || return 1
  ninja -C "$directory" "$@"
}
