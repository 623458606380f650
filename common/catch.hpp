#pragma once

// Catch2 2.13 and 3 under one name: the tests use what both have.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // Catch2 2.13 declares it outside its namespace
#else
#include <catch2/catch.hpp>
#endif
