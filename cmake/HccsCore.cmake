# SPDX-License-Identifier: Apache-2.0
# hccs::hccs, what most users link: the parts below in one library, static or (BUILD_SHARED_LIBS) shared. The parts are
# libraries of their own for what is built here, tests and programs, which reach into them; none is installed.
set(HCCS_CORE_PARTS contract softmax attention calibration files c_interface)

set(objects)
foreach(part IN LISTS HCCS_CORE_PARTS)
  list(APPEND objects $<TARGET_OBJECTS:hccs_${part}>)
endforeach()
add_library(hccs ${objects})
add_library(hccs::hccs ALIAS hccs)
set_target_properties(hccs PROPERTIES LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_compile_features(hccs PUBLIC cxx_std_20)
target_include_directories(hccs INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                          $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(hccs PRIVATE Threads::Threads)
if(HCCS_LINKS_HIGHWAY)
  find_package(hwy REQUIRED)
  target_link_libraries(hccs PRIVATE hwy::hwy)
endif()
if(BUILD_SHARED_LIBS AND UNIX AND NOT APPLE)
  # Hides what the compiler makes of other libraries' templates.
  set(symbols ${PROJECT_SOURCE_DIR}/cmake/hccs.map)
  target_link_options(hccs PRIVATE -Wl,--version-script=${symbols} -Wl,--no-undefined)
  set_target_properties(hccs PROPERTIES LINK_DEPENDS ${symbols})
endif()
