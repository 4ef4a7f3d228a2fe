# SPDX-License-Identifier: Apache-2.0
# Cross-compiles the library and its unit tests for 64-bit Arm and runs them under qemu-user (Debian: g++-aarch64-linux-gnu,
# qemu-user). Header-only dependencies come from the build machine.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-L;/usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)

# The headers of Highway, fmt and nlohmann-json, without the rest of /usr/include, which is the build machine's own.
set(headers ${CMAKE_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${headers})
foreach(name hwy fmt nlohmann)
  file(CREATE_LINK /usr/include/${name} ${headers}/${name} SYMBOLIC)
endforeach()
set(HCCS_HIGHWAY_INCLUDE ${headers})
file(WRITE ${CMAKE_BINARY_DIR}/fmt/fmt-config.cmake
"add_library(fmt::fmt-header-only INTERFACE IMPORTED)
set_target_properties(fmt::fmt-header-only PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${headers}
                                                      INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY=1)
")
set(fmt_DIR ${CMAKE_BINARY_DIR}/fmt)
file(WRITE ${CMAKE_BINARY_DIR}/nlohmann_json/nlohmann_json-config.cmake
"add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
set_target_properties(nlohmann_json::nlohmann_json PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${headers})
")
set(nlohmann_json_DIR ${CMAKE_BINARY_DIR}/nlohmann_json)
