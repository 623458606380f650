#include "clients/probe/counts.hpp"

#include <fmt/format.h>

#include <charconv>

namespace unfreeze {

std::optional<Counts> find_counts(std::string_view text) {
    const auto number = [text](std::string_view name) -> std::optional<std::uint64_t> {
        const std::size_t at = text.rfind(name);
        const std::size_t digits = at == text.npos ? at : text.find_first_of("0123456789-", at);
        std::uint64_t value = 0;
        if (digits == text.npos || digits > at + name.size() + 2 ||
            std::from_chars(text.data() + digits, text.data() + text.size(), value).ec !=
                std::errc{}) {
            return std::nullopt;
        }
        return value;
    };
    const auto received = number("received");
    const auto processed = number("processed");
    const auto dropped = number("dropped");
    const auto pending = number("pending");
    if (!received || !processed || !dropped || !pending) {
        return std::nullopt;
    }
    return Counts{
        .received = *received, .processed = *processed, .dropped = *dropped, .pending = *pending};
}

std::optional<Counts> ask_for_counts(Connection& connection) {
    const auto response = connection.exchange(post(R"({"type":"metrics"})"));
    return response && response->status == 200 ? find_counts(response->body) : std::nullopt;
}

std::optional<Counts> final_counts(Process& server) {
    server.wait_for_output("received=", std::chrono::seconds{1});
    return find_counts(server.output());
}

std::string to_text(const Counts& counts) {
    return fmt::format("received {}, processed {}, dropped {}, pending {}", counts.received,
                       counts.processed, counts.dropped, counts.pending);
}

}  // namespace unfreeze
