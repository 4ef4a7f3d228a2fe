# SPDX-License-Identifier: Apache-2.0
# cmake -D SOURCE=DIR -D OUTPUT=FILE -P EmbedAieSources.cmake: the headers of aie/ as text in the program, so that an
# installed `hccs export` needs no source tree. Paths are as an exported project has them.
file(GLOB_RECURSE files RELATIVE ${SOURCE}/aie ${SOURCE}/aie/kernels/*.h ${SOURCE}/aie/graph/*.h ${SOURCE}/aie/host/include/*.def
     ${SOURCE}/aie/host/include/*.h ${SOURCE}/aie/host/include/*.hpp)
set(text "// Generated: the headers of aie/.\n#include \"aie_sources.h\"\n\nnamespace hccs::tool {\n\nstatic constexpr SourceFile kFiles[] = {\n")
foreach(file IN LISTS files)
  file(READ ${SOURCE}/aie/${file} content)
  string(APPEND text "    {\"${file}\", R\"hccs_source(${content})hccs_source\"},\n")
endforeach()
string(APPEND text "};\n\nstd::span<const SourceFile> aie_sources() { return kFiles; }\n\n}  // namespace hccs::tool\n")
file(WRITE ${OUTPUT} "${text}")
