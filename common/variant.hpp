#pragma once

#include <utility>
#include <variant>

namespace unfreeze {

/// A visitor for std::visit: one lambda for each alternative.
template <typename... Lambdas>
struct Overloaded : Lambdas... {
    using Lambdas::operator()...;
};

template <typename... Lambdas>
Overloaded(Lambdas...) -> Overloaded<Lambdas...>;

/// The same value, in a variant that has more alternatives.
template <typename Wider, typename Variant>
Wider widen(Variant&& variant) {
    return std::visit([](auto&& value) -> Wider { return std::forward<decltype(value)>(value); },
                      std::forward<Variant>(variant));
}

}  // namespace unfreeze
