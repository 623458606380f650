// Catch2 2 brings its main() as a macro; version 3 as a library (see CMakeLists.txt).
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
