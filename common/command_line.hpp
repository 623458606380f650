#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace unfreeze {

/// A program's flags. Each add() names a flag and the variable that it sets; the variable's value
/// is the default. CLI11 splits the command line and prints the help. CLI11's validators are not
/// used: CLI::Range reads 010 as octal, a validator's error wins over --help, and both errors and
/// order differ between versions 2.1 and 2.6. A program constructs this first, because it calls
/// start_program().
class CommandLine {
public:
    explicit CommandLine(const std::string& description);
    ~CommandLine();

    void add(const std::string& flag, std::string& value, const std::string& help);
    void add(const std::string& flag, bool& value, const std::string& help);

    /// A flag that may be given several times, with one value each time.
    void add(const std::string& flag, std::vector<std::string>& values, const std::string& help);

    /// Numbers are decimal digits without sign, spaces and leading zeros.
    void add(const std::string& flag, std::uint16_t& value, const std::string& help);
    void add(const std::string& flag, std::size_t& value, std::size_t min, std::size_t max,
             const std::string& help);
    void add(const std::string& flag, std::chrono::milliseconds& value,
             std::chrono::milliseconds min, std::chrono::milliseconds max, const std::string& help);
    void add(const std::string& flag, std::chrono::milliseconds& value, const std::string& help);
    void add_power_of_two(const std::string& flag, std::size_t& value, std::size_t max,
                          const std::string& help);

    /// An address or a name that is_host() accepts.
    void add_host(const std::string& flag, std::string& value, const std::string& help);

    /// Sets the variables. Exits with 0 after --help. Exits with 2 and a sentence if an argument is
    /// wrong or the help can't be written.
    void parse(int argc, char** argv);

private:
    /// Adds a flag that may be given once. `set` gets its value, and exits if it is wrong. The help
    /// shows the placeholder in place of the value.
    void add_value(const std::string& flag, const std::string& default_value,
                   const char* placeholder, const std::string& help,
                   std::function<void(const std::string&)> set);

    /// `set` gets a number from min to max.
    void add_number(const std::string& flag, std::size_t default_value, std::size_t min,
                    std::size_t max, const std::string& help, std::function<void(std::size_t)> set);

    std::unique_ptr<CLI::App> app_;
    std::vector<std::function<void()>> setters_;  // parse() runs them after CLI11
};

}  // namespace unfreeze
