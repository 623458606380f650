#include "common/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <cstdio>
#include <cstdlib>

#include "common/log.hpp"

namespace unfreeze {

CommandLine::CommandLine(const std::string& what_the_program_is)
    : app_{std::make_unique<CLI::App>(what_the_program_is)} {}

CommandLine::~CommandLine() = default;

void CommandLine::add(const std::string& flag, std::string& value, const std::string& help) {
    app_->add_option(flag, value, help)->capture_default_str();
}

void CommandLine::add(const std::string& flag, bool& value, const std::string& help) {
    app_->add_flag(flag, value, help);
}

void CommandLine::add(const std::string& flag, std::vector<std::string>& values,
                      const std::string& help) {
    app_->add_option(flag, values, help)->allow_extra_args(false);
}

void CommandLine::add(const std::string& flag, std::uint16_t& value, const std::string& help) {
    app_->add_option(flag, value, help)->capture_default_str()->check(CLI::Range(0, 65535));
}

void CommandLine::add(const std::string& flag, std::size_t& value, std::size_t min, std::size_t max,
                      const std::string& help) {
    app_->add_option(flag, value, help)->capture_default_str()->check(CLI::Range(min, max));
}

void CommandLine::add(const std::string& flag, std::chrono::milliseconds& value,
                      std::chrono::milliseconds min, std::chrono::milliseconds max,
                      const std::string& help) {
    app_->add_option_function<std::int64_t>(
            flag, [&value](std::int64_t ms) { value = std::chrono::milliseconds{ms}; }, help)
        ->default_str(fmt::format("{}", value.count()))
        ->check(CLI::Range(min.count(), max.count()));
}

void CommandLine::add(const std::string& flag, std::chrono::milliseconds& value,
                      const std::string& help) {
    add(flag, value, std::chrono::milliseconds{0}, std::chrono::hours{24}, help);
}

void CommandLine::add_power_of_two(const std::string& flag, std::size_t& value, std::size_t max,
                                   const std::string& help) {
    const auto check = [max](const std::string& text) {
        std::size_t number = 0;
        const bool fits = CLI::detail::lexical_cast(text, number) && number <= max;
        return fits && std::has_single_bit(number)
                   ? std::string{}
                   : fmt::format("Value {} is no power of two from 1 to {}", text, max);
    };
    app_->add_option(flag, value, help)->capture_default_str()->check(check);
}

void CommandLine::parse(int argc, char** argv) {
    try {
        app_->parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        fmt::print("{}", app_->help());
        std::exit(0);
    } catch (const CLI::ParseError& error) {
        fail(fmt::format("{} (see --help)", error.what()));
    }
}

}  // namespace unfreeze
