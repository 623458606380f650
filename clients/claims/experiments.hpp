#pragma once

#include <optional>

#include "clients/claims/claims.hpp"

// The experiments of the claims. Each returns whether its claim's sentence is true of a server.
namespace unfreeze {

// Table cells: "0.3 ms" or "frozen", "413" or "no answer", "3/4".
std::string summarize(std::optional<std::chrono::microseconds> answered);
std::string summarize(int status);
std::string summarize(std::size_t count, std::size_t of);

// How connections affect each other, and which input a server accepts.
Finding idle_client_blocks_others(const Target& target);
Finding idle_connections(const Target& target);
Finding byte_by_byte(const Target& target);
Finding case_insensitive_fields(const Target& target);
Finding client_resets(const Target& target);
Finding keep_alive(const Target& target);
Finding pipelining(const Target& target);
Finding malformed_requests(const Target& target);
Finding random_bytes(const Target& target);
Finding ambiguous_framing(const Target& target);
Finding endless_head(const Target& target);
Finding slow_head(const Target& target);
Finding large_body(const Target& target);
Finding rejection_reason(const Target& target);
Finding nested_json(const Target& target);

// How a server processes events.
Finding exact_amounts(const Target& target);
Finding saturation(const Target& target);
Finding lost_update(const Target& target);
Finding query_during_work(const Target& target);
Finding slow_work_delays_response(const Target& target);
Finding accepted_at_once(const Target& target);
Finding overload(const Target& target);
Finding retry_after(const Target& target);
Finding parallel_jobs(const Target& target);
Finding one_lock_caps_rate(const Target& target);
Finding read_waits_for_lock(const Target& target);
Finding one_user_serializes(const Target& target);

// What a server reports about itself, and how it exits.
Finding counters_add_up(const Target& target);
Finding prometheus_exposition(const Target& target);
Finding browser_page(const Target& target);
Finding drain(const Target& target);
Finding partial_request(const Target& target);

}  // namespace unfreeze
