# One static library a folder of src/, and one test binary a folder, so that a change rebuilds
# little and the include rules of docs/architecture.md are also link rules.

set(FATHOM_SANITIZE "" CACHE STRING "Sanitizers to build with, as given to -fsanitize=")
set(FATHOM_FUZZ OFF CACHE BOOL "Link tests/fuzz with libFuzzer; needs clang")

# For a build from nothing, once: headers that most sources include are read once a library. Builds
# of changes go without, for then each source must name what it uses, and ccache keeps what it made.
option(FATHOM_PRECOMPILED_HEADERS "Read common headers once; without ccache" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT FATHOM_PRECOMPILED_HEADERS)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(fathom_options INTERFACE)
target_include_directories(fathom_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
# Other compilers see other things, which a user should neither have to read nor to mend.
option(FATHOM_WERROR "Warn, and take warnings for errors; ./up and packages go without" ON)
if(FATHOM_WERROR)
  target_compile_options(fathom_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror)
else()
  target_compile_options(fathom_options INTERFACE -w)
endif()
# Results must not depend on how the compiler chose to contract a*b+c: kernels say fma where they
# mean it, and the reference kernels stay plain.
target_compile_options(fathom_options INTERFACE -ffp-contract=off)
if(FATHOM_SANITIZE)
  target_compile_options(fathom_options INTERFACE -fsanitize=${FATHOM_SANITIZE}
                                                  -fno-sanitize-recover=all)
  target_link_options(fathom_options INTERFACE -fsanitize=${FATHOM_SANITIZE})
  # Which warnings count is the plain build's to say: with checks in the code GCC sees what is none.
  target_compile_options(fathom_options INTERFACE -Wno-error)
endif()
if(FATHOM_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC cannot model fences under -fsanitize=thread and warns in library headers.
  target_compile_options(fathom_options INTERFACE -Wno-tsan -Wno-maybe-uninitialized)
elseif(FATHOM_SANITIZE)
  # Clang 14 cannot assemble coroutines with the checks of function pointers.
  target_compile_options(fathom_options INTERFACE -fno-sanitize=function)
endif()
if(FATHOM_FUZZ)
  # Counts which branches run, for libFuzzer to find inputs that take new ones.
  target_compile_options(fathom_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(NOT CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # Which warnings count is GCC's to say.
  target_compile_options(fathom_options INTERFACE -w)
endif()

# What is compiled for several instruction sets, all of it inlined: some checks, and all that ask in
# place instead of by a call, make such a file take a compiler three times as long. Addresses are
# checked all the same.
add_library(fathom_kernel_options INTERFACE)  # linked behind fathom_options: the last flag counts
if(FATHOM_SANITIZE MATCHES address)
  target_compile_options(fathom_kernel_options INTERFACE
    -fno-sanitize=null,alignment,object-size,pointer-overflow
    -fno-sanitize-address-use-after-scope)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(fathom_kernel_options INTERFACE
      "SHELL:--param asan-instrumentation-with-call-threshold=0")
  else()
    target_compile_options(fathom_kernel_options INTERFACE
      "SHELL:-mllvm -asan-instrumentation-with-call-threshold=0")
  endif()
endif()
if(FATHOM_FUZZ)
  target_compile_options(fathom_kernel_options INTERFACE -fno-sanitize=fuzzer-no-link)
endif()

# Sources are compiled in batches, most of a file's time being its headers'. Kernels are not
# (each is compiled for many instruction sets, and takes long by itself).
option(FATHOM_UNITY "Compile sources of a folder in batches" ON)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
# What two files instantiate is compiled once where they share a batch. Sanitizers make that most of
# the work, and their builds are rarely for one changed file.
if(FATHOM_SANITIZE)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 16)
endif()
function(fathom_batches target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${FATHOM_UNITY})
endfunction()

# What runs once, or in a test, is compiled with few optimisations, in two thirds of the time.
# Fuzzing searches none of it.
function(fathom_compile_quickly target)
  target_compile_options(${target} PRIVATE -O1 $<$<BOOL:${FATHOM_FUZZ}>:-fno-sanitize=fuzzer-no-link>)
endfunction()

# fathom_library(NAME SOURCES a.cpp ... LINK other ... [HEADERS <a> ...]): the static library of one
# folder. HEADERS are what to precompile, where that is wanted; other libraries share fathom_base's.
function(fathom_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;HEADERS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  fathom_batches(${name})
  target_link_libraries(${name} PUBLIC fathom_options ${ARG_LINK})
  if(FATHOM_PRECOMPILED_HEADERS AND ARG_HEADERS)
    target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
  elseif(FATHOM_PRECOMPILED_HEADERS)
    target_precompile_headers(${name} REUSE_FROM fathom_base)
  endif()
endfunction()

# fathom_vector_sources(LIBRARY a.cpp ...): sources that are compiled once for each set of vector
# instructions, see src/base/lanes.h and src/base/instruction_sets.h.
function(fathom_vector_sources library)
  set(SETS portable)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND SETS avx2 avx512)
    set(avx2_FLAGS -mavx2)
    set(avx2_LANES 8)
    set(avx512_FLAGS -mavx2 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mprefer-vector-width=512)
    set(avx512_LANES 16)
  endif()
  set(portable_LANES 4)
  foreach(isa ${SETS})
    add_library(${library}_${isa} OBJECT ${ARGN})
    target_link_libraries(${library}_${isa} PRIVATE fathom_options fathom_kernel_options)
    target_compile_definitions(${library}_${isa} PRIVATE FATHOM_ISA=${isa}
                                                         FATHOM_LANES=${${isa}_LANES})
    # Traps and errno would keep loops from being vectorised.
    target_compile_options(${library}_${isa} PRIVATE $<$<NOT:$<CONFIG:Sanitize>>:-O3>
                           -fno-math-errno -fno-trapping-math ${${isa}_FLAGS})
    target_sources(${library} PRIVATE $<TARGET_OBJECTS:${library}_${isa}>)
    target_compile_definitions(${library} PRIVATE FATHOM_BUILT_${isa}=1)
  endforeach()
endfunction()

# What the binary loads where it is needed: libfathom_mpi.so and libfathom_ucx.so.
add_custom_target(plug_ins)

# Every test binary that says "unit", and what tests of damaged input run.
add_custom_target(sanitized_tests)

# fathom_test(NAME [BATCHES] [SHARDS n] [COST s] SOURCES a_test.cpp ... LINK libs ... [DEFINE macros ...]):
# one GoogleTest binary, one ctest entry, labelled "unit". With BATCHES its files share no names of
# their own; with SHARDS its tests are divided over entries NAME_1, NAME_2, ..., which run side by
# side. COST is about the seconds it takes under sanitizers: the longest begin first.
function(fathom_test name)
  if(NOT FATHOM_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "BATCHES" "SHARDS;COST" "SOURCES;LINK;DEFINE" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_definitions(${name} PRIVATE ${ARG_DEFINE})
  if(ARG_BATCHES)
    fathom_batches(${name})
  endif()
  fathom_compile_quickly(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  add_dependencies(sanitized_tests ${name})
  if(NOT ARG_SHARDS)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 900)
    if(ARG_COST)
      set_tests_properties(${name} PROPERTIES COST ${ARG_COST})
    endif()
    return()
  endif()
  foreach(shard RANGE 1 ${ARG_SHARDS})
    math(EXPR index "${shard} - 1")
    add_test(NAME ${name}_${shard} COMMAND ${name})
    set_tests_properties(${name}_${shard} PROPERTIES LABELS unit TIMEOUT 900
      ENVIRONMENT "GTEST_TOTAL_SHARDS=${ARG_SHARDS};GTEST_SHARD_INDEX=${index}")
  endforeach()
endfunction()

# fathom_test_again(NAME ENVIRONMENT SUFFIX): runs a test of fathom_test() once more, as NAME_SUFFIX,
# with an environment of its own.
function(fathom_test_again name environment suffix)
  if(NOT FATHOM_TESTS)
    return()
  endif()
  add_test(NAME ${name}_${suffix} COMMAND ${name})
  set_tests_properties(${name}_${suffix} PROPERTIES LABELS unit TIMEOUT 900
    ENVIRONMENT "${environment}")
endfunction()
