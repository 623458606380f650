#pragma once

#include <fmt/format.h>

#include <concepts>
#include <string>
#include <string_view>

namespace unfreeze {

/// A string as JSON has it, in quotes. Bytes that are no UTF-8, as a server may send them, become
/// U+FFFD.
std::string json_string(std::string_view bytes);

/// A number as JSON has it, with one digit after the point.
std::string json_number(double number);

/// A JSON object, built one member after another.
class JsonObject {
public:
    /// `json` is a whole value.
    JsonObject& add_json(std::string_view name, std::string_view json);

    JsonObject& add(std::string_view name, std::string_view text) {
        return add_json(name, json_string(text));
    }
    JsonObject& add(std::string_view name, std::integral auto number_or_bool) {
        return add_json(name, fmt::format("{}", number_or_bool));
    }
    JsonObject& add(std::string_view name, double number) {
        return add_json(name, json_number(number));
    }

    std::string text() const { return "{" + members_ + "}"; }

private:
    std::string members_;
};

}  // namespace unfreeze
