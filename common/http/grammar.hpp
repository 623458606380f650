#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// HTTP's common syntax (RFC 9110 section 5.6), for the request parser and the clients' response
// parser. It works on bytes, because HTTP's text is ASCII in any locale.
namespace unfreeze {

/// A set of bytes: ASCII letters, digits, and the given others. contains() is one table look-up.
class AlphanumericAnd {
public:
    explicit constexpr AlphanumericAnd(std::string_view others) {
        for (const char c : others) {
            contains_[static_cast<unsigned char>(c)] = true;
        }
        for (const char c :
             std::string_view{"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"}) {
            contains_[static_cast<unsigned char>(c)] = true;
        }
    }

    constexpr bool contains(char c) const { return contains_[static_cast<unsigned char>(c)]; }

private:
    std::array<bool, 256> contains_{};
};

inline constexpr AlphanumericAnd token_chars{"!#$%&'*+-.^_`|~"};

/// RFC 9110 5.6.2
constexpr bool is_token_char(char c) { return token_chars.contains(c); }

/// A control character other than tab, which no head may contain; CR and NUL are among them (RFC
/// 9110 5.5).
constexpr bool is_control_char(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

/// The offset of the first control character; npos if there is none. It first tests eight bytes at
/// a time whether one of them may be one, because hardly any is: below the space, as the tab also
/// is, or DEL.
inline std::size_t find_control_char(std::string_view text) {
    const auto may_contain = [](const char* eight_bytes) {
        constexpr std::uint64_t each = 0x01'01'01'01'01'01'01'01;
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, eight_bytes, sizeof bytes);
        const std::uint64_t zero_if_del = bytes ^ (0x7f * each);
        const std::uint64_t below_space = (bytes - 0x20 * each) & ~bytes;
        const std::uint64_t is_del = (zero_if_del - each) & ~zero_if_del;
        return ((below_space | is_del) & (0x80 * each)) != 0;
    };
    std::size_t i = 0;
    while (i < text.size()) {
        if (i + 8 <= text.size() && !may_contain(text.data() + i)) {
            i += 8;
        } else if (is_control_char(text[i])) {
            return i;
        } else {
            ++i;
        }
    }
    return std::string_view::npos;
}

inline bool contains_control_char(std::string_view text) {
    return find_control_char(text) != std::string_view::npos;
}

/// Whether each byte matches.
template <bool (*matches)(char)>
constexpr bool all_of(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return matches(c); });
}

constexpr bool is_token(std::string_view text) {
    return !text.empty() && all_of<is_token_char>(text);
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

constexpr bool is_hex_digit(char c) {
    return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'f');
}

constexpr bool is_space_or_tab(char c) { return c == ' ' || c == '\t'; }

/// Removes the matching bytes from the front of `text` and returns them.
template <bool (*matches)(char)>
constexpr std::string_view take_while(std::string_view& text) {
    std::size_t size = 0;
    while (size < text.size() && matches(text[size])) {
        ++size;
    }
    const std::string_view taken = text.substr(0, size);
    text.remove_prefix(size);
    return taken;
}

/// Field names and many values are case-insensitive (RFC 9110 5.1).
constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) {
        return false;
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (a[i] != b[i] && to_lower(a[i]) != to_lower(b[i])) {
            return false;
        }
    }
    return true;
}

/// The text without optional whitespace around it: OWS (RFC 9110 5.6.3).
constexpr std::string_view trimmed(std::string_view text) {
    take_while<is_space_or_tab>(text);
    while (!text.empty() && is_space_or_tab(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

/// Calls `each` with every element of a comma-separated list. Skips empty elements, as RFC 9110
/// 5.6.1.2 requires of a recipient.
template <typename Each>
constexpr void for_each_element(std::string_view list, Each each) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        const std::string_view element = trimmed(list.substr(0, comma));
        if (!element.empty()) {
            each(element);
        }
        list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    }
}

/// One field line, split at its colon. Both are empty if the line is malformed (RFC 9112 section
/// 5).
struct Field {
    std::string_view name;
    std::string_view value;
};

/// Splits a line that has no control characters. It is malformed if the name is not a token, or a
/// space precedes the colon.
[[nodiscard]] constexpr Field split_field(std::string_view line) {
    std::size_t name_end = 0;
    while (name_end < line.size() && is_token_char(line[name_end])) {
        ++name_end;
    }
    if (name_end == 0 || !line.substr(name_end).starts_with(':')) {
        return {};
    }
    return {line.substr(0, name_end), trimmed(line.substr(name_end + 1))};
}

/// The same for any line: one with a control character is malformed as well.
[[nodiscard]] inline Field parse_field(std::string_view line) {
    return contains_control_char(line) ? Field{} : split_field(line);
}

/// A Content-Length in decimal digits, without sign and list (RFC 9112 6.2); -1 if it is invalid. A
/// length of more than 18 digits is returned as the largest of 18 digits, which is over any limit.
[[nodiscard]] constexpr long long parse_length(std::string_view digits) {
    constexpr long long largest = 999'999'999'999'999'999;
    long long length = 0;
    for (const char c : digits) {
        if (!is_digit(c)) {
            return -1;
        }
        length = length > largest / 10 ? largest : length * 10 + (c - '0');
    }
    return digits.empty() ? -1 : length;
}

}  // namespace unfreeze
