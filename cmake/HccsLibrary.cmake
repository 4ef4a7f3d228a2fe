# SPDX-License-Identifier: Apache-2.0
# hccs_add_library(NAME SOURCES...): the static library hccs_NAME, alias hccs::NAME, with the project's
# language level, warnings and include path. fmt is used header-only inside and never leaks out.
function(hccs_add_library name)
  add_library(hccs_${name} STATIC ${ARGN})
  add_library(hccs::${name} ALIAS hccs_${name})
  set_target_properties(hccs_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON
                                             CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(hccs_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                 $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
                                          PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_compile_features(hccs_${name} PUBLIC cxx_std_20)
  target_link_libraries(hccs_${name} PRIVATE $<BUILD_INTERFACE:fmt::fmt-header-only>)
  hccs_set_warnings(hccs_${name})
endfunction()

function(hccs_set_warnings target)
  if(PROJECT_IS_TOP_LEVEL)
    # -Wrestrict: GCC 12 is wrong about std::string's operator+ (GCC bug 105651).
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wno-sign-compare -Wno-missing-field-initializers
                                             $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
    set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR ${HCCS_WARNINGS_AS_ERRORS})
  endif()
endfunction()
