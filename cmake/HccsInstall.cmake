# SPDX-License-Identifier: Apache-2.0
# find_package(hccs) gives hccs::hccs, and with the components formats, encoder, integer_encoder, pipeline and quantiser hccs::formats and so on; pkg-config gives hccs and, for C, hccs-c.
include(CMakePackageConfigHelpers)

set(hccs_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hccs)
set(core_headers params mask quantise reference softmax attention deployability status progress plausibility calibration file param_file param_header version
                 export hccs)
set(model_headers calibrate_model digest dump_logits encoder evaluate_logits hccs_integer_encoder integer_encoder model_folder npy quantise_model row_file safetensors text tokenizer)

list(TRANSFORM core_headers REPLACE "(.+)" "${PROJECT_SOURCE_DIR}/include/hccs/\\1.h")
install(FILES ${core_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hccs)
install(TARGETS hccs EXPORT hccs-core ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT hccs-core NAMESPACE hccs:: FILE hccs-core.cmake DESTINATION ${hccs_config_dir})

if(HCCS_BUILD_MODEL)
  list(TRANSFORM model_headers REPLACE "(.+)" "${PROJECT_SOURCE_DIR}/include/hccs/\\1.h")
  install(FILES ${model_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hccs)
  install(TARGETS hccs_files hccs_formats hccs_encoder hccs_integer_kernels hccs_integer_encoder hccs_pipeline hccs_quantiser EXPORT hccs-model ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT hccs-model NAMESPACE hccs:: FILE hccs-model.cmake DESTINATION ${hccs_config_dir})
endif()

# Whether who links hccs::hccs has to find Highway.
set(hccs_config_links_highway ${HCCS_LINKS_HIGHWAY})
if(BUILD_SHARED_LIBS)
  set(hccs_config_links_highway FALSE)
endif()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/hccs-config.cmake.in ${PROJECT_BINARY_DIR}/hccs-config.cmake
                              INSTALL_DESTINATION ${hccs_config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hccs-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hccs-config.cmake ${PROJECT_BINARY_DIR}/hccs-config-version.cmake
        DESTINATION ${hccs_config_dir})

# Relative, so that the installed tree can move.
file(RELATIVE_PATH hccs_pc_to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
if(HCCS_LINKS_HIGHWAY)
  set(hccs_pc_requires libhwy)
endif()
# A shared library brings what it needs.
if(BUILD_SHARED_LIBS)
  set(hccs_pc_private .private)
else()
  set(hccs_pc_libs " -pthread")
  set(hccs_pc_c_libs " -lstdc++ -lm -pthread")
endif()
foreach(name hccs hccs-c)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
