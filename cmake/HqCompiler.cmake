# Compiler and linker flags of every target of the project.
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

add_library(hq_flags INTERFACE)
target_compile_definitions(hq_flags INTERFACE _GNU_SOURCE HQ_VERSION="${PROJECT_VERSION}"
    $<$<BOOL:${HQ_FAULTS}>:HQ_FAULTS>)
target_compile_options(hq_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wundef -Wformat=2 -Wswitch-enum -Wwrite-strings
    -fno-common -fvisibility=hidden -fno-omit-frame-pointer
    $<$<BOOL:${HQ_WERROR}>:-Werror>)
# Asserts guard invariants of the core; they stay on in every build.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")

if(HQ_SANITIZE)
    target_compile_options(hq_flags INTERFACE -fsanitize=${HQ_SANITIZE} -fno-sanitize-recover=all -g)
    target_link_options(hq_flags INTERFACE -fsanitize=${HQ_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(hq_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
        -fstack-protector-strong -fstack-clash-protection -fcf-protection)
    target_link_options(hq_flags INTERFACE -pie -Wl,-z,relro,-z,now)
endif()
if(HQ_FUZZ)
    target_compile_options(hq_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
