# Builds for aarch64 (Kunpeng hosts of Ascend chips, among others) on an x86-64 Debian, and runs what
# it built, tests too, under qemu-user. Packages: see FATHOM_AARCH64_PACKAGES in
# tools/setup/packages.sh.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
# "max": every extension that the emulator knows, so that kernels chosen at run time are tested.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-cpu;max)

# Libraries of the wrong architecture must not be found by their usual places.
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(CMAKE_IGNORE_PATH /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu)

# Debian's prometheus-cpp-dev cannot be installed for two architectures at once. Its headers are the
# same for both; only the library of the other one is needed.
set(FATHOM_PROMETHEUS_LIBRARY /usr/lib/aarch64-linux-gnu/libprometheus-cpp-core.so.1.0)
