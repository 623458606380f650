#include "clients/probe/json_members.hpp"

#include <rapidjson/encodedstream.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

namespace unfreeze {

/// Keeps the members at depth 1.
class JsonMembersReader
    : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, JsonMembersReader> {
public:
    bool StartObject() { return enter(); }
    bool EndObject(rapidjson::SizeType) { return leave(); }
    bool StartArray() { return depth_ > 0 && enter(); }  // the text itself must be an object
    bool EndArray(rapidjson::SizeType) { return leave(); }

    bool Key(const char* text, rapidjson::SizeType size, bool) {
        if (depth_ == 1) {
            name_ = {text, size};
            members.strings_.erase(name_);
            members.numbers_.erase(name_);
        }
        return true;
    }
    bool String(const char* text, rapidjson::SizeType size, bool) {
        return keep(members.strings_, {text, size});
    }
    bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
        return keep(members.numbers_, {text, size});
    }
    bool Default() { return depth_ > 0; }

    JsonMembers members;

private:
    bool enter() {
        ++depth_;
        return true;
    }
    bool leave() {
        --depth_;
        return true;
    }
    bool keep(std::map<std::string, std::string>& kept, std::string value) {
        if (depth_ == 1) {
            kept[name_] = std::move(value);
        }
        return depth_ > 0;
    }

    std::size_t depth_ = 0;
    std::string name_;
};

std::optional<JsonMembers> JsonMembers::parse(std::string_view text) {
    constexpr unsigned flags = rapidjson::kParseIterativeFlag |
                               rapidjson::kParseNumbersAsStringsFlag |
                               rapidjson::kParseValidateEncodingFlag;
    rapidjson::MemoryStream bytes{text.data(), text.size()};
    rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream{bytes};
    rapidjson::Reader reader;
    JsonMembersReader handler;
    if (!reader.Parse<flags>(stream, handler)) {
        return std::nullopt;
    }
    return std::move(handler.members);
}

std::optional<std::int64_t> JsonMembers::integer(const std::string& name) const {
    const auto number = numbers_.find(name);
    if (number == numbers_.end()) {
        return std::nullopt;
    }
    const std::string& text = number->second;
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec == std::errc{} && read.ptr == text.data() + text.size()) {
        return value;
    }
    constexpr double exact_max = 9'007'199'254'740'992;  // 2^53
    const double real = std::strtod(text.c_str(), nullptr);
    return real == std::floor(real) && std::abs(real) <= exact_max
               ? std::optional{static_cast<std::int64_t>(real)}
               : std::nullopt;
}

std::optional<std::string> JsonMembers::string(const std::string& name) const {
    const auto found = strings_.find(name);
    return found == strings_.end() ? std::nullopt : std::optional{found->second};
}

}  // namespace unfreeze
