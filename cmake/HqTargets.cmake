# hq_layer(NAME [layers...] [EXT libraries...]): the folder's sources as one library.
# The names in front of EXT must equal the row of this folder in src/LAYERS, which
# the lint test checks.
function(hq_layer name)
    cmake_parse_arguments(ARG "" "" "EXT" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    add_library(hq_${name} STATIC ${sources})
    target_include_directories(hq_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
    list(TRANSFORM ARG_UNPARSED_ARGUMENTS PREPEND hq_)
    list(TRANSFORM ARG_EXT PREPEND hq_ext::)
    target_link_libraries(hq_${name} PUBLIC ${ARG_UNPARSED_ARGUMENTS} ${ARG_EXT} PRIVATE hq_flags)
endfunction()
