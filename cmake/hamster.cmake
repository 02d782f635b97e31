# How a room, a test and a binary are declared. Sources are listed, never globbed.

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Protobuf REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)

set(HAMSTER_WARNINGS -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
set(HAMSTER_ROOT ${CMAKE_CURRENT_LIST_DIR}/..)

# The cache serves every build directory and every clone: paths count relative to the source tree.
find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER
        ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

# Several sources are compiled as one: most of what a source costs is the code of templates that
# the next one needs again. So names in anonymous namespaces are unique within a room.
set(CMAKE_UNITY_BUILD ON)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)

add_compile_definitions(
    BOOST_ASIO_NO_DEPRECATED
    BOOST_ASIO_SEPARATE_COMPILATION
    BOOST_BEAST_SEPARATE_COMPILATION
    BOOST_ASIO_DISABLE_BOOST_DATE_TIME
    SPDLOG_FMT_EXTERNAL SPDLOG_HEADER_ONLY FMT_HEADER_ONLY)
add_compile_options(-fno-omit-frame-pointer -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

if(HAMSTER_SANITIZE)
    add_compile_options(-fsanitize=${HAMSTER_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${HAMSTER_SANITIZE})
    # A null that is followed ends the process anyway. These checks cost a sixth of what compiling
    # for the sanitizers does.
    add_compile_options(-fno-sanitize=null,object-size,vptr)
    # Recycled coroutine frames would hide use-after-free from the sanitizer.
    add_compile_definitions(BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING)
endif()
if(HAMSTER_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
add_link_options(-fuse-ld=lld)
if(HAMSTER_STATIC)
    add_link_options(-static)
endif()

# Third-party libraries as archives. Static or not decides only how glibc is linked: the rest is
# always taken from its archive, so every build runs the same code.
function(hamster_archive target)
    cmake_parse_arguments(A "" "" "LIBS;DEPS" ${ARGN})
    add_library(${target} INTERFACE)
    foreach(lib ${A_LIBS})
        find_library(ARCHIVE_${lib} NAMES lib${lib}.a REQUIRED)
        target_link_libraries(${target} INTERFACE ${ARCHIVE_${lib}})
    endforeach()
    target_link_libraries(${target} INTERFACE ${A_DEPS})
endfunction()

hamster_archive(ext_openssl LIBS ssl crypto DEPS Threads::Threads dl)
hamster_archive(ext_rocksdb LIBS rocksdb snappy lz4 zstd bz2 z DEPS Threads::Threads dl)
hamster_archive(ext_protobuf LIBS protobuf z DEPS Threads::Threads)
hamster_archive(ext_pugixml LIBS pugixml)
hamster_archive(ext_cares LIBS cares)
hamster_archive(ext_boost_json LIBS boost_json)
hamster_archive(ext_boost_url LIBS boost_url)
hamster_archive(ext_xxhash LIBS xxhash)
hamster_archive(ext_zstd LIBS zstd)
hamster_archive(ext_rapidcheck LIBS rapidcheck)
# Tests and benchmarks only, and shared: Debian has no archive of it.
find_library(ISAL isal REQUIRED)
add_library(ext_isal INTERFACE)
target_link_libraries(ext_isal INTERFACE ${ISAL})
add_library(ext_malloc INTERFACE)
if(NOT HAMSTER_SANITIZE)
    hamster_archive(ext_jemalloc LIBS jemalloc DEPS Threads::Threads m dl)
    target_link_libraries(ext_malloc INTERFACE ext_jemalloc)
endif()

# One precompiled header for all rooms above base, and one for their tests: the awaitable machinery,
# fmt, the common containers and gtest are half of what a source costs to compile. They can hide a
# missing include: `make lint` does not see that.
function(hamster_precompile target room)
    if(room STREQUAL "base" OR room STREQUAL "proto")
        return()
    endif()
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>)
    if(room STREQUAL "runtime")
        target_precompile_headers(${target} PRIVATE ${HAMSTER_ROOT}/cmake/precompiled.h)
    else()
        target_precompile_headers(${target} REUSE_FROM hamster_runtime)
    endif()
endfunction()

function(hamster_precompile_test target room)
    if(room MATCHES "^(base|erasure|placement)$")  # do not link what the header needs
        return()
    endif()
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>)
    if(room STREQUAL "runtime")
        target_precompile_headers(${target} PRIVATE ${HAMSTER_ROOT}/cmake/precompiled_test.h)
    else()
        target_precompile_headers(${target} REUSE_FROM runtime_test)
    endif()
endfunction()

# hamster_room(name SOURCES a.cc ... DEPS room ext ...)
function(hamster_room name)
    cmake_parse_arguments(R "" "" "SOURCES;DEPS" ${ARGN})
    if(NOT R_SOURCES)  # headers only so far
        add_library(hamster_${name} INTERFACE)
        target_include_directories(hamster_${name} INTERFACE ${HAMSTER_ROOT}/src)
        target_link_libraries(hamster_${name} INTERFACE ${R_DEPS})
        return()
    endif()
    add_library(hamster_${name} STATIC ${R_SOURCES})
    target_include_directories(hamster_${name} PUBLIC ${HAMSTER_ROOT}/src ${CMAKE_BINARY_DIR}/generated)
    target_compile_options(hamster_${name} PRIVATE ${HAMSTER_WARNINGS})
    target_link_libraries(hamster_${name} PUBLIC ${R_DEPS})
    hamster_precompile(hamster_${name} ${name})
endfunction()

# hamster_test(room SOURCES x_test.cc ... DEPS ...): one test binary per room, one ctest entry.
function(hamster_test name)
    cmake_parse_arguments(T "" "" "SOURCES;DEPS" ${ARGN})
    if(NOT T_SOURCES)
        return()
    endif()
    add_executable(${name}_test ${T_SOURCES})
    target_compile_options(${name}_test PRIVATE ${HAMSTER_WARNINGS})
    target_link_libraries(${name}_test PRIVATE hamster_${name} ${T_DEPS} GTest::gmock GTest::gtest_main ext_malloc)
    hamster_precompile_test(${name}_test ${name})
    add_test(NAME ${name} COMMAND ${name}_test --gtest_brief=1)
    # Against tests that hang. Sanitizers cost up to twenty times as much, at the lowest priority.
    if(HAMSTER_SANITIZE)
        set_tests_properties(${name} PROPERTIES TIMEOUT 3600)
    else()
        set_tests_properties(${name} PROPERTIES TIMEOUT 900)
    endif()
endfunction()

# hamster_fuzz(name SOURCE x_fuzz.cc DEPS ...): built only by the fuzz preset.
function(hamster_fuzz name)
    cmake_parse_arguments(F "" "SOURCE" "DEPS" ${ARGN})
    if(NOT HAMSTER_FUZZ)
        return()
    endif()
    add_executable(${name}_fuzz ${F_SOURCE})
    target_compile_options(${name}_fuzz PRIVATE ${HAMSTER_WARNINGS})
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${name}_fuzz PRIVATE ${F_DEPS})
endfunction()
