#pragma once

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <concepts>
#include <string>
#include <string_view>

namespace unfreeze {

/// A JSON object (RFC 8259), written one member after another.
class JsonObject {
public:
    JsonObject() { writer_.StartObject(); }

    /// Replaces each byte that is not valid UTF-8 by U+FFFD.
    JsonObject& add(std::string_view name, std::string_view text);

    JsonObject& add(std::string_view name, std::integral auto number) {
        add_name(name);
        if constexpr (std::same_as<decltype(number), bool>) {
            writer_.Bool(number);
        } else if constexpr (std::signed_integral<decltype(number)>) {
            writer_.Int64(number);
        } else {
            writer_.Uint64(number);
        }
        return *this;
    }

    /// Rounds to one decimal place. Infinity and NaN, which JSON lacks, become null.
    JsonObject& add(std::string_view name, double number);

    /// Adds a complete JSON value, such as another object's text.
    JsonObject& add_json(std::string_view name, std::string_view json);

    /// The whole object. No member can follow.
    [[nodiscard]] std::string text();

private:
    void add_name(std::string_view name);

    rapidjson::StringBuffer buffer_;
    rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
};

}  // namespace unfreeze
