#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace unfreeze {

/// The members of a JSON object, without those of the objects and arrays in it. How it is spelled
/// makes no difference: spaces, the order of members, escapes in strings, 1 or 1.0.
class JsonMembers {
public:
    /// Returns nothing if the text is not one JSON object.
    [[nodiscard]] static std::optional<JsonMembers> parse(std::string_view text);

    /// A member that is a whole number of 64 bits; nothing if there is none.
    [[nodiscard]] std::optional<std::int64_t> integer(const std::string& name) const;

    /// A member that is a string; nothing if there is none.
    [[nodiscard]] std::optional<std::string> string(const std::string& name) const;

private:
    std::map<std::string, std::string> strings_;
    std::map<std::string, std::string> numbers_;  // as they are written

    friend class JsonMembersReader;
};

}  // namespace unfreeze
