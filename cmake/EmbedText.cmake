# SPDX-License-Identifier: Apache-2.0
# cmake -D INPUT=FILE -D OUTPUT=HEADER -D NAME=kName -P EmbedText.cmake: the text of INPUT as the string NAME of a C++ header.
file(READ ${INPUT} content)
file(WRITE ${OUTPUT} "inline constexpr char ${NAME}[] = R\"embedded_text(${content})embedded_text\";\n")
