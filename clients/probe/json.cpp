#include "clients/probe/json.hpp"

#include <rapidjson/encodings.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

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
        bytes.remove_prefix(valid ? stream.Tell() : 1);  // what follows a wrong byte may be right
    }
    return {text.GetString(), text.GetSize()};
}

}  // namespace

std::string json_string(std::string_view bytes) {
    const std::string text = as_utf8(bytes);
    rapidjson::StringBuffer json;
    rapidjson::Writer{json}.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
    return {json.GetString(), json.GetSize()};
}

std::string json_number(double number) {
    return std::isfinite(number) ? fmt::format("{:.1f}", number) : "null";  // JSON has no others
}

JsonObject& JsonObject::add_json(std::string_view name, std::string_view json) {
    members_ += fmt::format("{}{}:{}", members_.empty() ? "" : ",", json_string(name), json);
    return *this;
}

}  // namespace unfreeze
