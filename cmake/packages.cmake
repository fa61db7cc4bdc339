# Outside libraries, all Debian packages (tools/setup/packages.sh); docs/dependencies.md says why.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED CONFIG)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
# Headers alone, the same for every architecture.
find_path(FATHOM_TOML_INCLUDE toml++/toml.h REQUIRED)
if(FATHOM_PROMETHEUS_LIBRARY)  # a toolchain file says where it is
  add_library(prometheus-cpp::core SHARED IMPORTED)
  set_target_properties(prometheus-cpp::core PROPERTIES
    IMPORTED_LOCATION ${FATHOM_PROMETHEUS_LIBRARY})
else()
  find_package(prometheus-cpp REQUIRED)
endif()
if(FATHOM_TESTS)
  find_package(GTest 1.12 REQUIRED)
endif()
find_package(OpenSSL 3 REQUIRED)
# Only the plug-in for several ranks needs MPI. The compiler wrapper that CMake asks is this
# machine's, so there is none for others.
if(NOT CMAKE_CROSSCOMPILING)
  find_package(MPI COMPONENTS C)
endif()

find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.37)
# Only the plug-in for stores in PostgreSQL needs libpq.
if(NOT CMAKE_CROSSCOMPILING)
  pkg_check_modules(PQ IMPORTED_TARGET libpq)
endif()
# Only the plug-in that carries KV blocks between engines needs UCX.
if(NOT CMAKE_CROSSCOMPILING)
  pkg_check_modules(UCX IMPORTED_TARGET ucx)
endif()
# Only the plug-in between engines and gateways needs gRPC.
if(NOT CMAKE_CROSSCOMPILING)
  pkg_check_modules(GRPC IMPORTED_TARGET grpc++ protobuf)
  find_program(PROTOC_PROGRAM protoc)
  find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin)
endif()
