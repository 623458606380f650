#pragma once

#include <optional>

#include "clients/claims/claims.hpp"

// The experiments behind the claims: each tells whether its sentence is true of a server.
namespace unfreeze {

// What stands in a table: "0.3 ms" or "frozen", "413" or "no answer", "3/4".
std::string briefly(std::optional<std::chrono::microseconds> answered);
std::string briefly(int status);
std::string briefly(std::size_t count, std::size_t of);

// What connections do to each other, and what a server lets itself be told.
Finding silent_client(const Target& target);
Finding twenty_silent_clients(const Target& target);
Finding byte_by_byte(const Target& target);
Finding any_letter_case(const Target& target);
Finding vanishing_clients(const Target& target);
Finding keep_alive(const Target& target);
Finding pipelining(const Target& target);
Finding garbage(const Target& target);
Finding noise(const Target& target);
Finding two_readings(const Target& target);
Finding long_head(const Target& target);
Finding slow_head(const Target& target);
Finding large_body(const Target& target);
Finding reason(const Target& target);
Finding deep_json(const Target& target);

// What becomes of the work.
Finding exact(const Target& target);
Finding saturation(const Target& target);
Finding lost_update(const Target& target);
Finding query_beside_work(const Target& target);
Finding slow_work(const Target& target);
Finding accepted_at_once(const Target& target);
Finding overload(const Target& target);
Finding retry_after(const Target& target);
Finding parallel_jobs(const Target& target);
Finding one_lock(const Target& target);
Finding look_waits(const Target& target);
Finding hot_user(const Target& target);

// What a server tells about itself, and how it ends.
Finding adds_up(const Target& target);
Finding exposition(const Target& target);
Finding page(const Target& target);
Finding drain(const Target& target);
Finding half_request(const Target& target);

}  // namespace unfreeze
