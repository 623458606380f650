#pragma once

// Includes Catch2 2.13 or 3. The tests use only what both have.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;  // Catch2 2.13 declares it outside its namespace
#else
#include <catch2/catch.hpp>
#endif
