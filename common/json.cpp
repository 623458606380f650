#include "common/json.hpp"

#include <rapidjson/encodings.h>
#include <rapidjson/memorystream.h>

#include <cmath>

namespace unfreeze {
namespace {

std::string as_utf8(std::string_view bytes) {
    constexpr unsigned replacement = 0xFFFD;
    rapidjson::StringBuffer text;
    while (!bytes.empty()) {
        rapidjson::MemoryStream stream{bytes.data(), bytes.size()};
        unsigned character = 0;
        const bool valid = rapidjson::UTF8<>::Decode(stream, &character);
        rapidjson::UTF8<>::Encode(text, valid ? character : replacement);
        bytes.remove_prefix(valid ? stream.Tell()
                                  : 1);  // the bytes after an invalid one may be valid
    }
    return {text.GetString(), text.GetSize()};
}

}  // namespace

JsonObject& JsonObject::add(std::string_view name, std::string_view text) {
    add_name(name);
    const std::string utf8 = as_utf8(text);
    writer_.String(utf8.data(), static_cast<rapidjson::SizeType>(utf8.size()));
    return *this;
}

JsonObject& JsonObject::add(std::string_view name, double number) {
    add_name(name);
    std::isfinite(number) ? writer_.Double(std::round(number * 10) / 10) : writer_.Null();
    return *this;
}

JsonObject& JsonObject::add_json(std::string_view name, std::string_view json) {
    add_name(name);
    writer_.RawValue(json.data(), json.size(), rapidjson::kObjectType);
    return *this;
}

std::string JsonObject::text() {
    writer_.EndObject();
    return {buffer_.GetString(), buffer_.GetSize()};
}

void JsonObject::add_name(std::string_view name) {
    writer_.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
}

}  // namespace unfreeze
