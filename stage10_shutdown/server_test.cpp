#include "common/catch.hpp"
