# Run by cpack between staging and packing: which packages the binary needs, and which the plug-ins
# would. CPACK_DEBIAN_PACKAGE_SHLIBDEPS would make all of them dependencies of the package.
set(work ${CPACK_TOPLEVEL_DIRECTORY}/shlibdeps)
file(REMOVE_RECURSE ${work})
# As dpkg-shlibdeps expects to find a package.
file(WRITE ${work}/debian/control "Source: fathom\nPackage: fathom\n")
file(COPY ${CPACK_TEMPORARY_DIRECTORY}/usr/bin ${CPACK_TEMPORARY_DIRECTORY}/usr/lib
  DESTINATION ${work}/debian/fathom/usr)
file(WRITE ${work}/debian/fathom/DEBIAN/control "")
file(GLOB plug_ins RELATIVE ${work} ${work}/debian/fathom/usr/lib/fathom/*.so)
list(TRANSFORM plug_ins PREPEND -e)
execute_process(
  COMMAND dpkg-shlibdeps -O -edebian/fathom/usr/bin/fathom -dSuggests ${plug_ins}
  WORKING_DIRECTORY ${work} OUTPUT_VARIABLE found COMMAND_ERROR_IS_FATAL ANY)
if(NOT found MATCHES "shlibs:Depends=([^\n]+)")
  message(FATAL_ERROR "dpkg-shlibdeps: expected dependencies, got: ${found}")
endif()
set(CPACK_DEBIAN_PACKAGE_DEPENDS "${CMAKE_MATCH_1}")
if(found MATCHES "shlibs:Suggests=([^\n]+)")
  set(CPACK_DEBIAN_PACKAGE_SUGGESTS "${CMAKE_MATCH_1}, openmpi-bin")
endif()
