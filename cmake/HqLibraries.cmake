# Third-party libraries, each as one imported target hq_ext::<name>; hq_ext::<name>_shared
# is never the archive.
# With HQ_STATIC_LIBS the archive is taken where the distribution ships one: the
# dynamic linker then has nothing to do at start-up and `hq job list` stays near a
# millisecond.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(hq_external name module archive)
    pkg_check_modules(EXT_${name} REQUIRED ${module})
    add_library(hq_ext_${name} INTERFACE)
    add_library(hq_ext::${name} ALIAS hq_ext_${name})
    target_include_directories(hq_ext_${name} SYSTEM INTERFACE ${EXT_${name}_INCLUDE_DIRS})
    add_library(hq_ext_${name}_shared INTERFACE)
    add_library(hq_ext::${name}_shared ALIAS hq_ext_${name}_shared)
    target_link_libraries(hq_ext_${name}_shared INTERFACE ${EXT_${name}_LINK_LIBRARIES})
    if(HQ_STATIC_LIBS)
        find_library(EXT_${name}_ARCHIVE NAMES ${archive} HINTS ${EXT_${name}_LIBDIR})
        if(EXT_${name}_ARCHIVE)
            target_link_libraries(hq_ext_${name} INTERFACE ${EXT_${name}_ARCHIVE} Threads::Threads
                ${CMAKE_DL_LIBS} rt)
            return()
        endif()
    endif()
    target_link_libraries(hq_ext_${name} INTERFACE ${EXT_${name}_LINK_LIBRARIES})
endfunction()

hq_external(sodium libsodium libsodium.a)
hq_external(uv libuv libuv_a.a)
hq_external(yaml yaml-0.1 libyaml.a)
hq_external(jansson jansson libjansson.a)
hq_external(zstd libzstd libzstd.a)
hq_external(xxhash libxxhash libxxhash.a)
# hwloc is opened with dlopen when a worker starts; only its headers are needed here.
pkg_check_modules(EXT_hwloc REQUIRED hwloc)
# SQLite likewise, when a log is exported; hq does without.
if(HQ_SQLITE)
    pkg_check_modules(EXT_sqlite3 sqlite3)
    if(NOT EXT_sqlite3_FOUND)
        message(STATUS "no SQLite found: logs cannot be exported to it")
        set(HQ_SQLITE OFF)
    endif()
endif()
# ncursesw likewise, when the dashboard is started.
if(HQ_TUI)
    pkg_check_modules(EXT_ncursesw ncursesw)
    if(NOT EXT_ncursesw_FOUND)
        message(STATUS "no ncursesw found: hq dashboard is not built")
        set(HQ_TUI OFF)
    endif()
endif()

if(HQ_MPI)
    set(MPI_CXX_SKIP_MPICXX TRUE)
    find_package(MPI COMPONENTS C)
    if(NOT MPI_C_FOUND)
        message(WARNING "no MPI library found: hq-mpi-worker is not built")
        set(HQ_MPI OFF)
    endif()
endif()
