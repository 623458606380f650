#include "clients/probe/counts.hpp"

#include <fmt/format.h>

#include <charconv>

#include "clients/probe/json_members.hpp"

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
    const auto body =
        response && response->status == 200 ? JsonMembers::parse(response->body) : std::nullopt;
    if (!body) {
        return std::nullopt;
    }
    const auto received = body->integer("received");
    const auto processed = body->integer("processed");
    const auto dropped = body->integer("dropped");
    const auto pending = body->integer("pending");
    if (!received || !processed || !dropped || !pending) {
        return std::nullopt;
    }
    const auto unsigned_of = [](std::int64_t number) { return static_cast<std::uint64_t>(number); };
    return Counts{.received = unsigned_of(*received),
                  .processed = unsigned_of(*processed),
                  .dropped = unsigned_of(*dropped),
                  .pending = unsigned_of(*pending)};
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
