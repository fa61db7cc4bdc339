# The emulated chip: the kernels by the host's compiler, once for each width of a warp. Its threads
# are Boost's fibres, whose stacks sanitizers do not follow.
if(CMAKE_CROSSCOMPILING OR FATHOM_SANITIZE)
  return()
endif()
find_package(Boost 1.81 CONFIG QUIET OPTIONAL_COMPONENTS context)
if(NOT TARGET Boost::context)
  message(STATUS "No Boost.Context: --chip emulated is not built")
  return()
endif()

set(EMULATED ${PROJECT_SOURCE_DIR}/src/backends/emulated)
foreach(lanes 32 64 128)
  add_library(fathom_emulated_${lanes} OBJECT ${GPU_KERNELS})
  fathom_gpu_dialect(fathom_emulated_${lanes} emulated_${lanes} backends/emulated/dialect.h
    FATHOM_EMULATED_WARP_LANES=${lanes})
  list(APPEND EMULATED_KERNELS $<TARGET_OBJECTS:fathom_emulated_${lanes}>)
  if(FATHOM_TESTS)
    add_library(fathom_words_${lanes} OBJECT ${EMULATED}/testing/word_kernels.cpp)
    fathom_gpu_dialect(fathom_words_${lanes} emulated_${lanes} backends/emulated/dialect.h
      FATHOM_EMULATED_WARP_LANES=${lanes})
    list(APPEND WORD_KERNELS $<TARGET_OBJECTS:fathom_words_${lanes}>)
  endif()
endforeach()

fathom_library(fathom_backend_emulated
  SOURCES ${EMULATED}/block_runner.cpp ${EMULATED}/chip.cpp ${EMULATED}/device_memory.cpp
          ${EMULATED}/emulated_backend.cpp ${EMULATED}/faults.cpp ${EMULATED}/fibre.cpp
          ${EMULATED}/kernel_sets.cpp ${EMULATED}/lane_order.cpp ${EMULATED}/machine.cpp
          ${EMULATED}/shared_memory.cpp ${EMULATED}/stream.cpp ${EMULATED_KERNELS}
  LINK fathom_gpu_host Boost::context Threads::Threads)

add_library(fathom-emulated MODULE ${EMULATED}/plug_in.cpp)
target_link_libraries(fathom-emulated PRIVATE fathom_backend_emulated)
set_target_properties(fathom-emulated PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
add_dependencies(plug_ins fathom-emulated)

fathom_test(emulated_test SOURCES ${EMULATED}/words_test.cpp ${WORD_KERNELS}
  LINK fathom_backend_emulated)
