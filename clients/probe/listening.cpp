#include "clients/probe/listening.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <asio.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

namespace unfreeze {
namespace {

/// The processes of the tree or of the group, parents first.
std::vector<pid_t> family_of(pid_t root) {
    struct Relation {
        pid_t pid = 0;
        pid_t parent = 0;
        pid_t group = 0;
    };
    std::vector<Relation> all;
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc", gone}) {
        const std::string name = entry.path().filename();
        if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
            continue;
        }
        std::ifstream stat{entry.path() / "stat"};
        std::string line;
        std::getline(stat, line);
        std::istringstream fields{line.substr(std::min(line.rfind(')') + 1, line.size()))};
        std::string state;
        Relation relation{.pid = std::stoi(name)};
        if (fields >> state >> relation.parent >> relation.group) {
            all.push_back(relation);
        }
    }
    std::vector<pid_t> family{root};
    for (const Relation& relation : all) {
        if (relation.group == root && relation.pid != root) {
            family.push_back(relation.pid);
        }
    }
    for (std::size_t i = 0; i < family.size(); ++i) {
        for (const Relation& relation : all) {
            if (relation.parent == family[i] &&
                std::count(family.begin(), family.end(), relation.pid) == 0) {
                family.push_back(relation.pid);
            }
        }
    }
    return family;
}

/// An address as /proc/net/tcp and tcp6 write it: each four bytes as a number of the machine.
std::string address_of(const std::string& hex) {
    std::array<unsigned char, 16> bytes{};
    for (std::size_t word = 0; word * 8 < hex.size() && word < 4; ++word) {
        const unsigned long value = std::stoul(hex.substr(word * 8, 8), nullptr, 16);
        for (std::size_t i = 0; i < 4; ++i) {
            bytes[word * 4 + i] = static_cast<unsigned char>(value >> (8 * i));
        }
    }
    if (hex.size() == 8) {
        return asio::ip::address_v4{{bytes[0], bytes[1], bytes[2], bytes[3]}}.to_string();
    }
    return fmt::format("[{}]", asio::ip::address_v6{bytes}.to_string());
}

/// All listening sockets of the machine, by their inode.
std::map<std::string, ListeningSocket> sockets_by_inode() {
    std::map<std::string, ListeningSocket> sockets;
    for (const char* const table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        std::ifstream lines{table};
        std::string line;
        std::getline(lines, line);  // the header
        while (std::getline(lines, line)) {
            std::istringstream fields{line};
            std::array<std::string, 10> field;
            for (std::string& text : field) {
                fields >> text;
            }
            const std::size_t colon = field[1].find(':');
            if (field[3] == "0A" && colon != std::string::npos) {
                sockets[field[9]] = {.port = static_cast<std::uint16_t>(
                                         std::stoul(field[1].substr(colon + 1), nullptr, 16)),
                                     .address = address_of(field[1].substr(0, colon))};
            }
        }
    }
    return sockets;
}

}  // namespace

std::vector<ListeningSocket> listening_sockets(pid_t root) {
    std::map<std::string, ListeningSocket> by_inode = sockets_by_inode();
    std::vector<ListeningSocket> found;
    for (const pid_t pid : family_of(root)) {
        std::error_code gone;
        for (const auto& entry :
             std::filesystem::directory_iterator{fmt::format("/proc/{}/fd", pid), gone}) {
            const std::string link = std::filesystem::read_symlink(entry.path(), gone).string();
            if (!link.starts_with("socket:[")) {
                continue;
            }
            const auto socket = by_inode.find(link.substr(8, link.size() - 9));
            if (socket != by_inode.end()) {
                socket->second.pid = pid;
                found.push_back(socket->second);
                by_inode.erase(socket);
            }
        }
    }
    return found;
}

std::optional<pid_t> listening_process(pid_t root, std::uint16_t port) {
    for (const ListeningSocket& socket : listening_sockets(root)) {
        if (socket.port == port) {
            return socket.pid;
        }
    }
    return std::nullopt;
}

}  // namespace unfreeze
