# NVIDIA's GPUs, wherever nvcc is found. The runtime is linked in and opens the driver by itself, so
# that the plug-in is built and loaded on machines without one.
find_program(FATHOM_NVCC nvcc HINTS /usr/local/cuda/bin)
if(CMAKE_CROSSCOMPILING OR FATHOM_SANITIZE OR NOT FATHOM_NVCC)
  return()
endif()
get_filename_component(CUDA_ROOT ${FATHOM_NVCC} DIRECTORY)
get_filename_component(CUDA_ROOT ${CUDA_ROOT} DIRECTORY)
find_library(FATHOM_CUDART cudart_static HINTS ${CUDA_ROOT}/lib64 ${CUDA_ROOT}/lib)
if(NOT FATHOM_CUDART)
  message(STATUS "No libcudart_static.a: --chip cuda is not built")
  return()
endif()

# Not CMake's CUDA language: it would have to be enabled before all else, and found where it is not.
set(CUDA_ARCHITECTURES
    -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90a,code=sm_90a
    -gencode=arch=compute_90,code=compute_90)
set(CUDA ${PROJECT_SOURCE_DIR}/src/backends/cuda)
foreach(source ${GPU_KERNELS})
  get_filename_component(name ${source} NAME_WE)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/cuda
    COMMAND ${FATHOM_NVCC} -x cu -std=c++17 -O3 ${CUDA_ARCHITECTURES} --fmad=false
            --expt-relaxed-constexpr -I${PROJECT_SOURCE_DIR}/src -DFATHOM_GPU_DIALECT=cuda_sm
            "-DFATHOM_GPU_DIALECT_HEADER=\"backends/cuda/dialect.h\""
            -Xcompiler=-fPIC -MD -MF ${object}.d -c ${source} -o ${object}
    DEPENDS ${source} DEPFILE ${object}.d VERBATIM
    COMMENT "Compiling ${name} for NVIDIA's GPUs")
  list(APPEND CUDA_OBJECTS ${object})
endforeach()

add_library(fathom-cuda MODULE ${CUDA}/chip.cpp ${CUDA}/cuda_backend.cpp ${CUDA_OBJECTS})
target_include_directories(fathom-cuda SYSTEM PRIVATE ${CUDA_ROOT}/include)
target_link_libraries(fathom-cuda PRIVATE fathom_gpu_host ${FATHOM_CUDART} rt ${CMAKE_DL_LIBS}
                                          Threads::Threads)
set_target_properties(fathom-cuda PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
add_dependencies(plug_ins fathom-cuda)
