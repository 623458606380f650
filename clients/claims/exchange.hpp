#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/claims/claims.hpp"
#include "clients/probe/connection.hpp"
#include "clients/probe/course.hpp"

// Exchanges of the experiments, with words for what came of them.
namespace unfreeze {

/// A response, or why there is none.
struct Reply {
    std::optional<ReceivedResponse> response;
    NoResponse none = {};
    std::chrono::duration<double> took{0};

    int status() const { return status_of(response); }
    bool is_2xx() const { return status() / 100 == 2; }
};

/// Receives the next response.
[[nodiscard]] Reply reply_from(Connection& connection,
                               std::chrono::milliseconds bound = frozen_after);

/// Sends these bytes on a new connection, and returns the reply.
[[nodiscard]] Reply ask(const Target& target, std::string_view bytes,
                        std::chrono::milliseconds bound = frozen_after);

/// The bytes of a GET.
[[nodiscard]] std::string get(std::string_view path, std::string_view fields = {});

/// "202 {"status":"accepted"} (after 0.3 ms)", "late (no response in 1.00 s)".
[[nodiscard]] std::string to_text(const Reply& reply);

/// A request as a person reads it: "POST / {"user":"alice"}", or the bytes if it is unusual.
[[nodiscard]] std::string request_text(const std::string& bytes);

/// The cases of an experiment, such as the malformed requests that a server has to reject.
class Cases {
public:
    /// Counts a case, and keeps what happened if it failed.
    void add(bool passed, std::string_view sent, std::string_view expected, std::string_view got,
             bool by_framework = false);
    void add(bool passed, std::string_view sent, std::string_view expected, const Reply& reply,
             bool by_framework = false);

    /// A case that fails if something takes too long.
    void add_timed(bool passed, std::string_view sent, std::string_view expected,
                   std::string_view got);

    /// Sets the shell command that repeats the failed cases.
    void repeat_with(const std::string& command);

    std::size_t passed() const { return passed_; }
    std::size_t size() const { return size_; }
    bool all_passed() const { return passed_ == size_; }
    const std::vector<Failure>& failures() const { return failures_; }

private:
    std::size_t passed_ = 0;
    std::size_t size_ = 0;
    std::vector<Failure> failures_;
};

/// Sends a valid event on a new connection. Adds a case unless it is answered in time.
bool serves_next_client(const Target& target, Cases& cases);

/// For a server that does not answer balance queries, so that it can't be tested.
[[nodiscard]] Finding no_balance(const Target& target, std::string_view user = "alice");

/// A measurement that says nothing about the server.
[[nodiscard]] Finding unknown(std::string figure);

/// A shell command that sends the bytes to a server on $PORT: curl if it can, or else printf and
/// netcat.
[[nodiscard]] std::string by_hand(const std::string& bytes);

}  // namespace unfreeze
