# What `cmake --install` puts under a prefix, and the Debian package that cpack makes of it. Plug-ins
# lie where src/base/plug_in.h looks for them.
install(TARGETS fathom RUNTIME DESTINATION bin)
foreach(plug_in fathom_mpi fathom_postgres fathom_ucx)
  if(TARGET ${plug_in})
    install(TARGETS ${plug_in} LIBRARY DESTINATION lib/fathom)
  endif()
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/tiny DESTINATION share/fathom/models
  PATTERN heldout.jsonl EXCLUDE)  # a test's
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CONTRIBUTING.md
  DESTINATION share/doc/fathom)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION share/doc/fathom)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/deploy/slurm ${PROJECT_SOURCE_DIR}/deploy/kubernetes
                  ${PROJECT_SOURCE_DIR}/deploy/helm
  DESTINATION share/doc/fathom/examples)
install(FILES ${PROJECT_SOURCE_DIR}/deploy/debian/fathom.sysusers
  DESTINATION lib/sysusers.d RENAME fathom.conf)

# Units name /usr/local/bin/fathom: here it is the prefix's.
install(CODE "
  foreach(unit fathom.service fathom.service.d/ranks.conf fathom.service.d/tls.conf)
    file(READ \"${PROJECT_SOURCE_DIR}/deploy/systemd/\${unit}\" text)
    string(REPLACE \"/usr/local/bin/\" \"\${CMAKE_INSTALL_PREFIX}/bin/\" text \"\${text}\")
    file(WRITE \"${PROJECT_BINARY_DIR}/units/\${unit}\" \"\${text}\")
  endforeach()")
install(FILES ${PROJECT_BINARY_DIR}/units/fathom.service DESTINATION lib/systemd/system)
install(DIRECTORY ${PROJECT_BINARY_DIR}/units/fathom.service.d DESTINATION share/doc/fathom/examples)

# Completion is made by the binary that is installed.
if(NOT CMAKE_CROSSCOMPILING)
  install(CODE "
    foreach(shell bash zsh)
      execute_process(COMMAND \"$<TARGET_FILE:fathom>\" completion \${shell}
        OUTPUT_FILE \"${PROJECT_BINARY_DIR}/completion.\${shell}\" COMMAND_ERROR_IS_FATAL ANY)
    endforeach()")
  install(FILES ${PROJECT_BINARY_DIR}/completion.bash
    DESTINATION share/bash-completion/completions RENAME fathom)
  install(FILES ${PROJECT_BINARY_DIR}/completion.zsh
    DESTINATION share/zsh/vendor-completions RENAME _fathom)
endif()

# Of the package alone: what has its place outside of a prefix, and what Debian's policy asks for.
set(debian ${PROJECT_SOURCE_DIR}/deploy/debian)
install(FILES ${debian}/fathom.env DESTINATION /etc/fathom COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${debian}/copyright DESTINATION share/doc/fathom COMPONENT debian EXCLUDE_FROM_ALL)
install(CODE "
  execute_process(COMMAND gzip -9nc \"${debian}/changelog\"
    OUTPUT_FILE \"${PROJECT_BINARY_DIR}/changelog.gz\" COMMAND_ERROR_IS_FATAL ANY)"
  COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES ${PROJECT_BINARY_DIR}/changelog.gz DESTINATION share/doc/fathom
  COMPONENT debian EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME fathom)
set(CPACK_PACKAGE_CONTACT "The authors of Fathom <fathom@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "server for DeepSeek-V3 and R1 with the OpenAI API")
set(CPACK_PACKAGE_DESCRIPTION
"Fathom serves released DeepSeek-V3 and R1 checkpoints over the OpenAI API, on one
machine or over the ranks of several. A small model to try it with is part of it.
The service is installed, but neither enabled nor started.")
set(CPACK_INSTALL_CMAKE_PROJECTS
  "${PROJECT_BINARY_DIR};fathom;ALL;/;${PROJECT_BINARY_DIR};fathom;debian;/")
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/debian_dependencies.cmake)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
