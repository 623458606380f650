#include "clients/probe/conversation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace unfreeze {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t bytes_kept = 2 * 1024;  // of each entry
constexpr std::size_t entries_max = 20'000;
constexpr std::size_t columns = 80;

std::string_view name_of(Conversation::Event event) {
    switch (event) {
        case Conversation::Event::connected: return "connected";
        case Conversation::Event::refused: return "could not connect";
        case Conversation::Event::ended: return "client finished sending";
        case Conversation::Event::closed: return "server closed";
        case Conversation::Event::reset: return "server reset the connection";
        case Conversation::Event::timed_out: return "no further response in time";
        case Conversation::Event::left: return "client closed";
        case Conversation::Event::sent:
        case Conversation::Event::received: break;
    }
    return "";
}

/// Appends the text in lines that begin with the prefix: a new one after each \n, and where a line
/// would be too long.
void append_lines(std::string& out, const std::string& prefix, std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t end = std::min(bytes.find('\n'), bytes.size() - 1) + 1;
        const std::string line = escaped(bytes.substr(0, end));
        const std::size_t width = columns - prefix.size();
        for (std::size_t at = 0; at < line.size(); at += width) {
            out += prefix + line.substr(at, width) + "\n";
        }
        bytes.remove_prefix(end);
    }
}

}  // namespace

std::string escaped(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\r' || c == '\n' || c == '\t') {
            text += c == '\r' ? "\\r" : c == '\n' ? "\\n" : "\\t";
        } else {
            text += byte < 0x20 || byte > 0x7e ? fmt::format("\\x{:02x}", byte) : std::string{c};
        }
    }
    return text;
}

std::size_t Conversation::open() {
    const std::lock_guard lock{mutex_};
    return ++connections_;
}

void Conversation::record(std::size_t connection, Event event, std::string_view bytes) {
    const std::lock_guard lock{mutex_};
    if (event == Event::sent || event == Event::received) {
        if (bytes.empty()) {
            return;
        }
        if (!entries_.empty() && entries_.back().connection == connection &&
            entries_.back().event == event) {
            Entry& last = entries_.back();
            last.bytes += bytes.substr(0, bytes_kept - std::min(bytes_kept, last.bytes.size()));
            last.size += bytes.size();
            ++last.pieces;
            return;
        }
    }
    if (entries_.size() == entries_max) {
        ++not_kept_;
        return;
    }
    entries_.push_back({.time = steady_clock::now(),
                        .connection = connection,
                        .event = event,
                        .bytes = std::string{bytes.substr(0, bytes_kept)},
                        .size = bytes.size()});
}

std::string Conversation::text(const Process* server, std::size_t connections_max) const {
    std::vector<std::pair<steady_clock::time_point, std::string>> blocks;
    const std::lock_guard lock{mutex_};
    const auto seconds = [this](steady_clock::time_point time) {
        return std::chrono::duration<double>{time - start_}.count();
    };
    for (const Entry& entry : entries_) {
        if (entry.connection > connections_max) {
            continue;
        }
        const bool data = entry.event == Event::sent || entry.event == Event::received;
        const char direction = !data ? ' ' : entry.event == Event::sent ? '>' : '<';
        const std::string prefix =
            fmt::format("{:8.4f} #{:<3} {} ", seconds(entry.time), entry.connection, direction);
        std::string block;
        append_lines(block, prefix, entry.bytes);
        if (!data) {
            block += fmt::format("{}({})\n", prefix, name_of(entry.event));
        } else if (entry.size > entry.bytes.size()) {
            block += fmt::format("{}(... {} bytes in all)\n", prefix, entry.size);
        } else if (entry.pieces > 1) {
            block += fmt::format("{}({} bytes in {} pieces)\n", prefix, entry.size, entry.pieces);
        }
        blocks.emplace_back(entry.time, std::move(block));
    }
    if (server != nullptr) {
        for (const OutputPiece& piece : server->pieces()) {
            std::string block;
            append_lines(block,
                         fmt::format("{:8.4f} {} | ", seconds(piece.time),
                                     piece.error ? "stderr" : "stdout"),
                         piece.text);
            blocks.emplace_back(piece.time, std::move(block));
        }
    }
    std::stable_sort(blocks.begin(), blocks.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string text;
    for (const auto& [time, block] : blocks) {
        text += block;
    }
    if (connections_ > connections_max) {
        text += fmt::format("({} more connections; --keep DIR keeps them all)\n",
                            connections_ - connections_max);
    }
    if (not_kept_ > 0) {
        text += fmt::format("({} later entries were not recorded)\n", not_kept_);
    }
    return text;
}

}  // namespace unfreeze
