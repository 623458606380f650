#include "common/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/address.hpp"
#include "common/log.hpp"
#include "common/program.hpp"

namespace unfreeze {

namespace {

[[noreturn]] void refuse(std::string_view sentence) {
    fail(fmt::format("{} (see --help)", sentence));
}

[[noreturn]] void refuse(const std::string& flag, const std::string& expected,
                         const std::string& value) {
    refuse(fmt::format("{}: expected {}, got '{}'", flag, expected, value));
}

/// Sets the number if the text is what std::to_string writes: no sign, no leading zero, no hex.
[[nodiscard]] bool parse_number(const std::string& text, std::size_t& number) {
    std::from_chars(text.data(), text.data() + text.size(), number);
    return std::to_string(number) == text;
}

std::string_view before_equals_sign(std::string_view argument) {
    return argument.substr(0, argument.find('='));
}

/// CLI11 2.6 ends lines with spaces, and no version ends every help with exactly one newline.
std::string without_trailing_spaces(std::string text) {
    text.erase(text.find_last_not_of(" \n") + 1);
    for (auto at = text.find(" \n"); at != text.npos; at = text.find(" \n")) {
        text.erase(at, 1);
    }
    return text + '\n';
}

}  // namespace

CommandLine::CommandLine(const std::string& description) {
    start_program();
    app_ = std::make_unique<CLI::App>(description);
}

CommandLine::~CommandLine() = default;

void CommandLine::add(const std::string& flag, std::string& value, const std::string& help) {
    add_value(flag, value, "TEXT", help, [&value](const std::string& text) { value = text; });
}

void CommandLine::add(const std::string& flag, bool& value, const std::string& help) {
    CLI::Option* const option = app_->add_flag(flag, help)->take_last();
    setters_.push_back([option, &value] {
        for (const std::string& text : option->results()) {
            if (text != "true" && text != "false") {
                refuse(option->get_name(), "no value", text);
            }
            value = text == "true";
        }
    });
}

void CommandLine::add(const std::string& flag, std::vector<std::string>& values,
                      const std::string& help) {
    app_->add_option(flag, values, help)->allow_extra_args(false);
}

void CommandLine::add(const std::string& flag, std::uint16_t& value, const std::string& help) {
    add_number(flag, value, 0, 65535, help,
               [&value](std::size_t number) { value = static_cast<std::uint16_t>(number); });
}

void CommandLine::add(const std::string& flag, std::size_t& value, std::size_t min, std::size_t max,
                      const std::string& help) {
    add_number(flag, value, min, max, help, [&value](std::size_t number) { value = number; });
}

void CommandLine::add(const std::string& flag, std::chrono::milliseconds& value,
                      std::chrono::milliseconds min, std::chrono::milliseconds max,
                      const std::string& help) {
    const auto count = [](std::chrono::milliseconds ms) {
        return static_cast<std::size_t>(ms.count());
    };
    add_number(flag, count(value), count(min), count(max), help,
               [&value](std::size_t ms) { value = std::chrono::milliseconds{ms}; });
}

void CommandLine::add(const std::string& flag, std::chrono::milliseconds& value,
                      const std::string& help) {
    add(flag, value, std::chrono::milliseconds{0}, std::chrono::hours{24}, help);
}

void CommandLine::add_power_of_two(const std::string& flag, std::size_t& value, std::size_t max,
                                   const std::string& help) {
    const auto set = [flag, &value, max](const std::string& text) {
        std::size_t number = 0;
        if (!parse_number(text, number) || number > max || !std::has_single_bit(number)) {
            refuse(flag, fmt::format("a power of two from 1 to {}", max), text);
        }
        value = number;
    };
    add_value(flag, std::to_string(value), "N",
              fmt::format("{} (a power of two, 1 to {})", help, max), set);
}

void CommandLine::add_host(const std::string& flag, std::string& value, const std::string& help) {
    add_value(flag, value, "HOST", help, [flag, &value](const std::string& text) {
        if (!is_host(text)) {
            refuse(flag, "an address", text);
        }
        value = text;
    });
}

void CommandLine::parse(int argc, char** argv) {
    try {
        app_->parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        const std::string help = without_trailing_spaces(app_->help());
        if (std::fputs(help.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
            fail(fmt::format("the help can't be written: {}",
                             std::generic_category().message(errno)));
        }
        std::exit(0);
    } catch (const CLI::ExtrasError&) {
        const std::string extra = app_->remaining().front();
        if (extra.starts_with('-')) {
            refuse(fmt::format("unknown flag '{}'", before_equals_sign(extra)));
        }
        refuse(fmt::format("unexpected argument '{}'", extra));
    } catch (const CLI::ParseError&) {  // the last argument is a flag without its value
        refuse(fmt::format("{}: expected a value", before_equals_sign(argv[argc - 1])));
    }
    for (const std::function<void()>& set : setters_) {
        set();
    }
}

void CommandLine::add_value(const std::string& flag, const std::string& default_value,
                            const char* placeholder, const std::string& help,
                            std::function<void(const std::string&)> set) {
    CLI::Option* const option = app_->add_option(flag, CLI::callback_t{}, help);
    option->default_str(default_value)->type_name(placeholder)->take_all();
    setters_.push_back([option, flag, set = std::move(set)] {
        const std::vector<std::string> values = option->results();
        if (values.size() > 1) {
            refuse(fmt::format("{}: expected one value, got {}", flag, values.size()));
        }
        if (!values.empty()) {
            set(values.front());
        }
    });
}

void CommandLine::add_number(const std::string& flag, std::size_t default_value, std::size_t min,
                             std::size_t max, const std::string& help,
                             std::function<void(std::size_t)> set) {
    const auto check = [flag, min, max, set = std::move(set)](const std::string& text) {
        std::size_t number = 0;
        if (!parse_number(text, number) || number < min || number > max) {
            refuse(flag, fmt::format("a whole number from {} to {}", min, max), text);
        }
        set(number);
    };
    add_value(flag, std::to_string(default_value), "N",
              fmt::format("{} ({} to {})", help, min, max), check);
}

}  // namespace unfreeze
